/// Whether a tier that keeps failing is asked at all. A pure state machine: outcomes and the time go in.
///
/// 1. `closed`: everything passes. So many failures in a row, and it opens.
/// 2. `open`: nothing passes until a moment.
/// 3. `probing`: then one batch passes. If all goes well it closes; one failure, and it opens for twice as long.
public enum CircuitState: Hashable, Sendable {
  /// Working; how many failures came in a row.
  case closed(failureCount: Int)
  /// Broken until a moment; how long the pause is, in nanoseconds.
  case open(until: UInt64, pause: UInt64)
  /// One batch is under way to see whether it works again.
  case probing(pause: UInt64)

  /// Working, no failure yet.
  public static let initial = CircuitState.closed(failureCount: 0)

  /// Whether a batch may pass now; a yes may make it the probe.
  public mutating func admits(at now: UInt64) -> Bool {
    switch self {
    case .closed: return true
    case .probing: return false
    case .open(let until, let pause):
      guard now >= until else { return false }
      self = .probing(pause: pause)
      return true
    }
  }

  /// A page of a batch that passed came out well. Late ones, from before it opened, say nothing.
  public mutating func succeeded() {
    switch self {
    case .closed, .probing: self = .initial
    case .open: break
    }
  }

  /// A page of a batch that passed failed.
  public mutating func failed(at now: UInt64) {
    switch self {
    case .closed(let count) where count + 1 < Limits.circuitFailureCountMax: self = .closed(failureCount: count + 1)
    case .closed: open(at: now, pause: UInt64(Limits.circuitPauseSecondsMin * 1e9))
    case .probing(let pause): open(at: now, pause: min(pause * 2, UInt64(Limits.circuitPauseSecondsMax * 1e9)))
    case .open: break
    }
  }

  /// The probe ended and said neither: its pages were throttled, or it had none. The next batch is the next probe.
  public mutating func probeEnded(at now: UInt64) {
    if case .probing(let pause) = self { self = .open(until: now, pause: pause) }
  }

  private mutating func open(at now: UInt64, pause: UInt64) { self = .open(until: now &+ pause, pause: pause) }
}
