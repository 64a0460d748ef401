import RoostDevice
import RoostPrimitives
import Synchronization

/// One recording of an event: completes once. Waiters sleep on the bell of the stream that will pass it.
final class Recording: Sendable {
  /// Nanoseconds of the monotonic clock at completion; 0 before.
  private let completion = Atomic<UInt64>(0)
  private let bell: Doorbell

  init(bell: Doorbell) { self.bell = bell }

  /// When it completed; nil before.
  var completedAt: UInt64? {
    let moment = completion.load(ordering: .acquiring)
    return moment == 0 ? nil : moment
  }

  /// Marks it complete. The stream rings its bell afterwards.
  func complete() { completion.store(max(1, MonotonicClock().nanoseconds), ordering: .releasing) }

  /// Waits for completion; false if the deadline passed first.
  func wait(spinNanoseconds: UInt64, until deadline: Deadline) -> Bool {
    while true {
      let count = bell.ringCount
      if completedAt != nil { return true }
      if !bell.wait(past: count, spinNanoseconds: spinNanoseconds, until: deadline) { return completedAt != nil }
    }
  }
}

/// An event of the CPU device.
final class CPUEvent: DeviceEvent {
  private let recording = Mutex<Recording?>(nil)
  private let spinNanoseconds: UInt64

  init(spinNanoseconds: UInt64) { self.spinNanoseconds = spinNanoseconds }

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
    guard last.wait(spinNanoseconds: spinNanoseconds, until: deadline) else {
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
