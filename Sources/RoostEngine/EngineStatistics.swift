import RoostBlocks

/// What an engine has done since it was opened, and what it holds now. A snapshot.
public struct EngineStatistics: Sendable, Hashable {
  /// What the block table counts; its sums reconcile.
  public var blocks: BlockStatistics
  /// Pages whose seal was made.
  public var sealed: Int
  /// Pages that were checked against their seal before a load.
  public var checked: Int
  /// Of these, pages that differed: they became misses.
  public var corrupt: Int
  /// Pages that a worker could not copy: they were dropped from their store.
  public var failedBlocks: Int
  /// Worker processes attached now.
  public var attachments: Int
  /// Worker processes that have left or died.
  public var attachmentsGone: Int
  /// Bytes of the pool that are committed.
  public var committedBytes: Int
  /// Leases that are in the hands of workers.
  public var handedOut: Int
  /// Events that nobody took in time.
  public var eventsDropped: Int
  /// What passed between pool and tier; nil without a tier.
  public var tier: TierStatistics?
}
