import RoostDevice
import RoostPrimitives

extension DeviceSuite {
  static let eventChecks: [Check] = [
    check("an event that was never recorded is complete and holds nothing up", isCompleteUnrecorded),
    check("an event completes after what was submitted before it", completesAfter),
    check("streams that wait for each other's events see each other's work", ordersStreams),
    check("an event of somebody else is refused", refusesForeignEvents),
    check("events measure the time between them", needs: .eventTiming, measuresTime),
    check("events measure no time without the capability", lacks: .eventTiming, measuresNoTime),
    holdingCheck("an event is incomplete until its stream has come to it", isIncomplete),
    holdingCheck("a stream waits for the recording before the call, not for a later one", waitsForEarlier),
  ]

  private static func isCompleteUnrecorded(_ trial: DeviceTrial) throws(RoostError) {
    let event = try trial.device.makeEvent()
    trial.expect(event.isComplete, "an event that was never recorded is incomplete")
    try event.wait(until: trial.patience)
    let stream = try trial.device.makeStream(priority: .normal)
    try stream.wait(for: event)
    try stream.wait(until: trial.patience)
  }

  private static func completesAfter(_ trial: DeviceTrial) throws(RoostError) {
    let size = 30_000
    let stream = try trial.device.makeStream(priority: .normal)
    let event = try trial.device.makeEvent()
    let memory = try trial.deviceMemory(size)
    let source = try trial.hostBytes(size, seed: 1)
    let result = try trial.hostBytes(size, seed: 2)
    let count = UInt(size)
    for round in 0..<40 as Range<UInt64> {
      DeviceTrial.fill(source.part(0..<64), seed: round)
      try stream.copy(CopyPiece(source: source.address, target: memory.address, byteCount: count), .hostToDevice)
      try stream.copy(CopyPiece(source: memory.address, target: result.address, byteCount: count), .deviceToHost)
      try stream.record(event)
      if round % 2 == 0 {
        try event.wait(until: trial.patience)
      } else {
        let deadline = trial.patience
        while !event.isComplete, !deadline.hasPassed() {}
      }
      trial.expect(event.isComplete, "round \(round): an event did not complete")
      trial.expect(result.equals(source), "round \(round): an event completed before the copies before it")
    }
  }

  private static func ordersStreams(_ trial: DeviceTrial) throws(RoostError) {
    let size = 5000
    let count = UInt(size)
    let writer = try trial.device.makeStream(priority: .normal)
    let reader = try trial.device.makeStream(priority: .high)
    let third = try trial.device.makeStream(priority: .normal)
    let written = try trial.device.makeEvent()
    let moved = try trial.device.makeEvent()
    let read = try trial.device.makeEvent()
    let first = try trial.deviceMemory(size)
    let second = try trial.deviceMemory(size)
    for round in 0..<40 as Range<UInt64> {
      let source = try trial.hostBytes(size, seed: round)
      let result = try trial.hostBytes(size, seed: 1000)
      // The writer waits until the last round's reader is done: it overwrites what that reads.
      try writer.wait(for: read)
      try writer.copy(CopyPiece(source: source.address, target: first.address, byteCount: count), .hostToDevice)
      try writer.record(written)
      try third.wait(for: written)
      try third.copy(CopyPiece(source: first.address, target: second.address, byteCount: count), .deviceToDevice)
      try third.record(moved)
      try reader.wait(for: moved)
      try reader.copy(CopyPiece(source: second.address, target: result.address, byteCount: count), .deviceToHost)
      try reader.record(read)
      guard round % 4 == 3 else { continue }
      try read.wait(until: trial.patience)
      trial.expect(result.equals(source), "round \(round): a stream went on before the event that it waits for")
    }
    try trial.device.synchronize(until: trial.patience)
  }

  private static func refusesForeignEvents(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let foreign = ForeignEvent()
    trial.expectError(.invalidInput, "recording a foreign event") { () throws(RoostError) in
      try stream.record(foreign)
    }
    trial.expectError(.invalidInput, "waiting for a foreign event") { () throws(RoostError) in
      try stream.wait(for: foreign)
    }
    try stream.wait(until: trial.patience)
  }

  private static func measuresTime(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let start = try trial.device.makeEvent()
    let end = try trial.device.makeEvent()
    trial.expectError(.invalidInput, "measuring between events that were never recorded") { () throws(RoostError) in
      _ = try end.secondsSince(start)
    }
    let memory = try trial.deviceMemory(100_000)
    let bytes = try trial.hostBytes(100_000, seed: 1)
    try stream.record(start)
    try stream.copy(CopyPiece(source: bytes.address, target: memory.address, byteCount: 100_000), .hostToDevice)
    try stream.record(end)
    try stream.wait(until: trial.patience)
    let seconds = try end.secondsSince(start)
    trial.expect(seconds >= 0 && seconds < 60, "a copy of 100 kB took \(seconds) s")
    let same = try end.secondsSince(end)
    trial.expect(same == 0, "\(same) s passed between an event and itself")
    trial.expectError(.invalidInput, "measuring since a foreign event") { () throws(RoostError) in
      _ = try end.secondsSince(ForeignEvent())
    }
  }

  private static func measuresNoTime(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let event = try trial.device.makeEvent()
    try stream.record(event)
    try event.wait(until: trial.patience)
    trial.expectError(.unsupported, "measuring time") { () throws(RoostError) in _ = try event.secondsSince(event) }
  }

  private static func isIncomplete(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let event = try trial.device.makeEvent()
    try stream.record(event)
    try event.wait(until: trial.patience)
    let release = try trial.hold(stream)
    defer { release() }
    try stream.record(event)
    trial.expect(!event.isComplete, "a recording on a held stream is complete: the earlier one was not replaced")
    trial.expectError(.timedOut, "waiting for an event on a held stream") { () throws(RoostError) in
      try event.wait(until: trial.instant)
    }
    release()
    try event.wait(until: trial.patience)
    trial.expect(event.isComplete, "an event that was waited for is incomplete")
  }

  private static func waitsForEarlier(_ trial: DeviceTrial) throws(RoostError) {
    let held = try trial.device.makeStream(priority: .normal)
    let early = try trial.device.makeStream(priority: .normal)
    let late = try trial.device.makeStream(priority: .high)
    let event = try trial.device.makeEvent()
    try held.record(event)
    try event.wait(until: trial.patience)
    try early.wait(for: event)
    let release = try trial.hold(held)
    defer { release() }
    try held.record(event)
    try late.wait(for: event)
    try early.wait(until: trial.patience)
    trial.expect(late.query().isBusy, "a stream did not wait for the last recording before the call")
    trial.expectError(.timedOut, "waiting for a stream that waits") { () throws(RoostError) in
      try late.wait(until: trial.instant)
    }
    release()
    try late.wait(until: trial.patience)
  }

  /// An event of no device.
  private final class ForeignEvent: DeviceEvent {
    var isComplete: Bool { false }
    func wait(until deadline: Deadline) throws(RoostError) { throw RoostError(.timedOut, "never") }
    func secondsSince(_ start: any DeviceEvent) throws(RoostError) -> Double { 0 }
  }
}
