import RoostDevice
import RoostPrimitives
import Synchronization

/// An event of the mock. Its times are the mock's own, which pass with turns.
final class MockEvent: DeviceEvent {
  let machine: MockMachine
  private let measuresTime: Bool
  private let recording = Locked<MockRecording?>(nil)

  init(machine: MockMachine, measuresTime: Bool) {
    self.machine = machine
    self.measuresTime = measuresTime
  }

  /// The last recording; nil if nobody has recorded the event.
  var lastRecording: MockRecording? { recording.withLock { $0 } }

  /// Replaces the recording.
  func record(_ new: MockRecording) { recording.withLock { $0 = new } }

  var isComplete: Bool {
    guard let last = lastRecording else { return true }
    if !last.isComplete { machine.breathe() }
    return last.isComplete
  }

  func wait(until deadline: Deadline) throws(RoostError) {
    guard let last = lastRecording else { return }
    guard machine.wait(until: deadline, { _ in last.isComplete }) else {
      throw RoostError(.timedOut, "the event had not completed when the deadline passed")
    }
  }

  func secondsSince(_ start: any DeviceEvent) throws(RoostError) -> Double {
    guard measuresTime else { throw RoostError(.unsupported, "the mock was made without event-timing") }
    guard let start = start as? MockEvent, start.machine === machine else {
      throw RoostError(.invalidInput, "the other event belongs to another device")
    }
    guard let from = start.lastRecording?.completedAt, let to = lastRecording?.completedAt else {
      throw RoostError(.invalidInput, "both events must have completed to measure the time between them")
    }
    return (Double(to) - Double(from)) / 1e9
  }
}
