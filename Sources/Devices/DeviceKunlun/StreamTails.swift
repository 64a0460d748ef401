import RoostDevice
import RoostPrimitives

/// An event at the end of each stream, for a runtime that cannot be asked whether a stream is idle. Thread-safe.
///
/// A submission is noted after it was made: whoever asks between the two sees the stream as it was before, which is right,
/// because the submitting call has not returned.
final class StreamTails: Sendable {
  private struct Tail {
    let event: DriverHandle
    /// Whether something was submitted after the event was recorded.
    var isBehind = false
    var isRecorded = false
  }

  private let tails = Locked<[DriverHandle: Tail]>([:])

  func add(_ event: DriverHandle, to stream: DriverHandle) { tails.withLock { $0[stream] = Tail(event: event) } }

  func remove(from stream: DriverHandle) -> DriverHandle? {
    tails.withLock { $0.removeValue(forKey: stream)?.event }
  }

  func noteSubmission(to stream: DriverHandle) { tails.withLock { $0[stream]?.isBehind = true } }

  /// The tail of a stream, recorded behind everything submitted; nil if nothing was ever submitted.
  func recorded(
    on stream: DriverHandle, _ record: (DriverHandle) throws(RoostError) -> Void
  ) throws(RoostError) -> DriverHandle? {
    try tails.withLock { tails throws(RoostError) -> DriverHandle? in
      guard var tail = tails[stream] else { return nil }
      if tail.isBehind {
        try record(tail.event)
        tail.isBehind = false
        tail.isRecorded = true
        tails[stream] = tail
      }
      return tail.isRecorded ? tail.event : nil
    }
  }
}
