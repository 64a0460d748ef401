import RoostPrimitives

/// A clock that stands still until somebody moves it. Thread-safe.
public final class SeededClock: Clock {
  private let time: Guarded<UInt64>

  /// Starts at a moment that the seed gives, so that no code grows fond of zero.
  public init(seed: UInt64) { time = Guarded(1_000_000_000 + SplitMix64.mix(seed) % 1_000_000_000_000) }

  /// The simulated time.
  public var nanoseconds: UInt64 { time.withLock { $0 } }

  /// Moves the clock on.
  public func advance(nanoseconds: UInt64) { time.withLock { $0 &+= nanoseconds } }
}
