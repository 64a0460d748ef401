import RoostStorage

/// What passed between the pool and the tier below it, and what the tier holds. A snapshot.
///
/// `promoted + promotionsMissing + promotionsCorrupt + promotionsFailed + promotionsInFlight = promotionsBegun`;
/// `offered = demoted + demotionsKnown + demotionsRefused + demotionsDropped + demotionsLate + demotionsFailed +
/// demotionsInFlight + demotionsQueued`.
public struct TierStatistics: Sendable, Hashable {
  /// Whether the tier has been recovered and is in use.
  public var isReady = false
  /// Requests that `prefetch` started something for.
  public var prefetches = 0
  /// Requests for which computing again was judged faster.
  public var recomputes = 0
  /// Pages for which a slot was taken, to be filled from the tier.
  public var promotionsBegun = 0
  /// Of these, pages that arrived and matched their seal.
  public var promoted = 0
  /// Their bytes.
  public var promotedBytes = 0
  /// Of these, pages that the tier did not have after all.
  public var promotionsMissing = 0
  /// Of these, pages that did not match their seal, or lay in a way that cannot be read here.
  public var promotionsCorrupt = 0
  /// Of these, pages that the tier could not read, or did not want to at present.
  public var promotionsFailed = 0
  /// Of these, pages that are under way.
  public var promotionsInFlight = 0
  /// Pages that a prefetch wanted and that found no room.
  public var promotionsRefused = 0

  /// Published pages, however often, that admission let through.
  public var offered = 0
  /// Published pages that it did not.
  public var notWorthAWrite = 0
  /// Of those offered, pages that were written.
  public var demoted = 0
  /// Their bytes: what wears the drive.
  public var demotedBytes = 0
  /// Of those offered, pages that the tier had already.
  public var demotionsKnown = 0
  /// Of those offered, pages that the tier's policy thought not worth their place.
  public var demotionsRefused = 0
  /// Of those offered, pages that were dropped because too many waited or the tier had too much to do.
  public var demotionsDropped = 0
  /// Of those offered, pages that were evicted or forgotten before their turn came.
  public var demotionsLate = 0
  /// Of those offered, pages that the tier could not write.
  public var demotionsFailed = 0
  /// Of those offered, pages that are under way.
  public var demotionsInFlight = 0
  /// Of those offered, pages that wait.
  public var demotionsQueued = 0
  /// Requests that stored or touched blocks: `demotedBytes` over this is what a request costs the drive.
  public var requests = 0

  /// The measured speed of promotions, 0 while unknown.
  public var bytesPerSecond = 0.0
  /// How often the tier's capacity would be written a day if the last hours went on: a wear estimate, to be held
  /// against the drive's rating times its size over the tier's. 0 in the first minute.
  public var capacityWritesPerDay = 0.0
  /// What the tier itself says.
  public var usage = TierUsage()

  /// Nothing yet.
  public init() {}
}
