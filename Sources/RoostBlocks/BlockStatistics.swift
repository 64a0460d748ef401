/// What a table has done since it was made, and what it holds now. A snapshot; sums reconcile:
/// `hits + misses = lookups`, `allocated + free = capacity`, `held + admitted + refused = offered`,
/// `admitted + adopted + promoted = evicted + retired + aborted + resident`.
public struct BlockStatistics: Sendable, Hashable {
  /// Keys asked for by `match`.
  public var lookups = 0
  /// Of these, ready.
  public var hits = 0
  /// Of these, not ready.
  public var misses = 0

  /// Keys offered to `beginStore`.
  public var offered = 0
  /// Of these, stored already or being stored.
  public var held = 0
  /// Of these, given a slot.
  public var admitted = 0
  /// Of these, not let in.
  public var refused = 0
  /// Blocks that a kept pool brought.
  public var adopted = 0
  /// Blocks that were given a slot to be filled from a tier.
  public var promoted = 0
  /// Blocks whose store was published.
  public var published = 0
  /// Blocks whose store was given up while their key was known.
  public var aborted = 0
  /// Blocks that the policy gave up.
  public var evicted = 0
  /// Blocks that were forgotten, discarded or reset.
  public var retired = 0

  /// Keys asked for by `beginLoad` that were leased.
  public var leased = 0
  /// Keys asked for by `beginLoad` that were missing.
  public var missing = 0
  /// Messages about leases or slots that were not current, or made no sense.
  public var stale = 0
  /// Leases taken back by `reclaim`.
  public var reclaimed = 0

  /// Slots.
  public var capacity = 0
  /// Slots that hold nothing.
  public var free = 0
  /// Slots that hold something or wait for copies to end.
  public var allocated = 0
  /// Slots with a key that leads to them.
  public var resident = 0
  /// Slots that could be evicted now.
  public var evictable = 0
  /// Slots without a key that wait for a lease or a fence.
  public var unkeyed = 0
  /// Blocks that are tracked without a slot.
  public var ghosts = 0
  /// Leases that live.
  public var leases = 0

  /// Makes zeroes.
  public init() {}
}
