/// Whether pages are written at present. A pure state machine: a full or failing drive stops writing for a while, one
/// page at a time then tries whether it works again, and reading goes on all the time.
enum WriteGate: Hashable, Sendable {
  /// Writing.
  case open
  /// Not writing until a moment, after a pause of so many nanoseconds.
  case shut(until: UInt64, pause: UInt64)
  /// One page is under way.
  case trying(pause: UInt64)

  /// Whether a page may be written; a yes may make it the trial.
  mutating func admits(at now: UInt64) -> Bool {
    switch self {
    case .open: return true
    case .trying: return false
    case .shut(let until, let pause):
      guard now >= until else { return false }
      self = .trying(pause: pause)
      return true
    }
  }

  /// A write worked.
  mutating func succeeded() {
    if case .trying = self { self = .open }
  }

  /// A write failed. True if this shuts an open gate.
  mutating func failed(at now: UInt64) -> Bool {
    switch self {
    case .open:
      self = shut(at: now, UInt64(Limits.writePauseSecondsMin * 1e9))
      return true
    case .trying(let pause):
      self = shut(at: now, min(2 * pause, UInt64(Limits.writePauseSecondsMax * 1e9)))
      return false
    case .shut: return false
    }
  }

  /// The trial came to nothing, for one because it found no slot.
  mutating func trialEnded(at now: UInt64) {
    if case .trying(let pause) = self { self = .shut(until: now, pause: pause) }
  }

  private func shut(at now: UInt64, _ pause: UInt64) -> WriteGate { .shut(until: now &+ pause, pause: pause) }
}
