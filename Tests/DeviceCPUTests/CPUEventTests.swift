import DeviceCPU
import Foundation
import RoostDevice
import RoostPrimitives
import Testing

@Suite struct CPUEventTests {
  let device: CPUDevice

  init() throws { device = try CPUDevice() }

  @Test func isCompleteUntilItIsRecorded() throws {
    let event = try device.makeEvent()
    #expect(event.isComplete)
    try event.wait(until: .after(seconds: 0))
  }

  @Test func completesWhenEverythingBeforeItHasEnded() throws {
    let stream = try device.makeStream(priority: .normal)
    let event = try device.makeEvent()
    let gate = Gate()
    try stream.enqueue { gate.pass() }
    try stream.record(event)
    #expect(!event.isComplete)
    #expect(#expect(throws: RoostError.self) { try event.wait(until: .after(seconds: 0.01)) }?.code == .timedOut)
    gate.open()
    try event.wait(until: patience())
    #expect(event.isComplete)
  }

  @Test func holdsAnotherStreamUp() throws {
    let first = try device.makeStream(priority: .normal)
    let second = try device.makeStream(priority: .high)
    let event = try device.makeEvent()
    let gate = Gate()
    let count = Tally()
    try first.enqueue { gate.pass() }
    try first.enqueue { count.add() }
    try first.record(event)
    let started = Gate()
    try second.enqueue { started.open() }
    try second.wait(for: event)
    let seen = Bytes(1)
    try second.enqueue { seen[0] = UInt8(count.value) }
    // The second stream runs; one that did not wait would be done before this thread is back from its sleep.
    started.pass()
    usleep(2000)
    guard case .busy = second.query() else { Issue.record("the second stream did not wait"); return }
    gate.open()
    try second.wait(until: patience())
    #expect(seen[0] == 1)
  }

  @Test func waitsForTheRecordingThatWasTheLastWhenItWasAsked() throws {
    let first = try device.makeStream(priority: .normal)
    let second = try device.makeStream(priority: .normal)
    let third = try device.makeStream(priority: .normal)
    let event = try device.makeEvent()
    let gate = Gate()
    let count = Tally()
    try first.enqueue { gate.pass() }
    try first.record(event)
    let (started, late) = (Gate(), Gate())
    try second.enqueue {
      started.open()
      late.pass()
    }
    try second.wait(for: event)
    try second.enqueue { count.add() }
    // A later recording elsewhere, complete at once, must not let the second stream through.
    try third.record(event)
    try event.wait(until: patience())
    #expect(event.isComplete)
    // The second stream comes to its wait only now, when the later recording is complete.
    started.pass()
    late.open()
    usleep(2000)
    #expect(count.value == 0)
    gate.open()
    try second.wait(until: patience())
    #expect(count.value == 1)
  }

  @Test func measuresTheTimeBetweenTwoRecordings() throws {
    let stream = try device.makeStream(priority: .normal)
    let start = try device.makeEvent()
    let end = try device.makeEvent()
    #expect(#expect(throws: RoostError.self) { _ = try end.secondsSince(start) }?.code == .invalidInput)
    try stream.record(start)
    try stream.enqueue { usleep(3000) }
    try stream.record(end)
    try stream.wait(until: patience())
    #expect(try end.secondsSince(start) >= 0.003)
    #expect(try start.secondsSince(end) <= -0.003)
  }

  @Test func refusesEventsOfOtherDevices() throws {
    final class Foreign: DeviceEvent {
      let isComplete = true
      func wait(until deadline: Deadline) throws(RoostError) {}
      func secondsSince(_ start: any DeviceEvent) throws(RoostError) -> Double { 0 }
    }
    let stream = try device.makeStream(priority: .normal)
    #expect(#expect(throws: RoostError.self) { try stream.record(Foreign()) }?.code == .invalidInput)
    #expect(#expect(throws: RoostError.self) { try stream.wait(for: Foreign()) }?.code == .invalidInput)
  }
}
