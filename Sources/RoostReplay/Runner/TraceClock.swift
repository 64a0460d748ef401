import RoostPrimitives
import Synchronization

/// The time of the trace, so that policies see the pace of the recorded server and not that of the replay. Never goes
/// back, even where a trace does. Thread-safe.
final class TraceClock: Clock {
  private let now = Atomic<UInt64>(0)

  var nanoseconds: UInt64 { now.load(ordering: .relaxed) }

  /// Moves on to the arrival of a request.
  func advance(toMilliseconds milliseconds: Int) {
    // Atomic's max compares as if signed: the time stays below half of the range.
    now.max(UInt64(min(milliseconds, Int.max / 1_000_000)) * 1_000_000, ordering: .relaxed)
  }
}
