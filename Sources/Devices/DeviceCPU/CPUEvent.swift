import RoostDevice
import RoostPrimitives
import Synchronization

/// One recording of an event: completes once. Waiters wait on the stream that will pass it.
final class Recording: Sendable {
  /// Nanoseconds of the monotonic clock at completion; 0 before.
  private let completion = Atomic<UInt64>(0)
  private let executor: StreamExecutor

  init(on executor: StreamExecutor) { self.executor = executor }

  /// When it completed; nil before.
  var completedAt: UInt64? {
    let moment = completion.load(ordering: .acquiring)
    return moment == 0 ? nil : moment
  }

  /// Marks it complete. The stream rings its bell afterwards.
  func complete() { completion.store(max(1, MonotonicClock().nanoseconds), ordering: .releasing) }

  /// Waits for completion; false if the deadline passed first.
  func wait(until deadline: Deadline) -> Bool {
    executor.wait(until: deadline) { completedAt != nil }
  }
}

/// An event of the CPU device.
final class CPUEvent: DeviceEvent {
  private let recording = Locked<Recording?>(nil)
  /// The last recording; nil if nobody has recorded the event.
  var lastRecording: Recording? { recording.withLock { $0 } }

  /// Replaces the recording.
  func record(_ new: Recording) { recording.withLock { $0 = new } }

  var isComplete: Bool {
    guard let last = lastRecording else { return true }
    return last.completedAt != nil
  }

  func wait(until deadline: Deadline) throws(RoostError) {
    guard let last = lastRecording else { return }
    guard last.wait(until: deadline) else {
      throw RoostError(.timedOut, "the event had not completed when the deadline passed")
    }
  }

  func secondsSince(_ start: any DeviceEvent) throws(RoostError) -> Double {
    guard let start = start as? CPUEvent else {
      throw RoostError(.invalidInput, "the other event belongs to another kind of device")
    }
    guard let from = start.lastRecording?.completedAt, let to = lastRecording?.completedAt else {
      throw RoostError(.invalidInput, "both events must have completed to measure the time between them")
    }
    return (Double(to) - Double(from)) / 1e9
  }
}
