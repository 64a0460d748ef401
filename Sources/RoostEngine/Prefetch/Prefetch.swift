import RoostBlocks

/// Names a prefetch. Not used again within an engine.
public struct PrefetchID: RawRepresentable, Hashable, Sendable {
  /// The number, from 1 up.
  public let rawValue: UInt64
  /// Wraps a number that an engine gave out.
  public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// What `prefetch` has done.
public enum PrefetchAnswer: Sendable, Hashable {
  /// Nothing: none of the keys lies in a tier.
  case nothingBelow
  /// Nothing: computing the blocks again is faster.
  case recompute
  /// Promotion has begun; ask `progress`.
  case started(PrefetchID)
}

/// How far a prefetch is.
public struct PrefetchProgress: Sendable, Hashable {
  /// Pages that were below.
  public var wanted = 0
  /// Of these, pages that are in the pool now, and held.
  public var arrived = 0
  /// Of these, pages that will not come: misses.
  public var failed = 0

  /// Whether nothing more is to come.
  public var isOver: Bool { arrived + failed >= wanted }

  /// Nothing wanted.
  public init() {}
}
