import RoostStorage

/// A tier below the pool, and how an engine uses it.
public struct TierSetup: Sendable {
  /// Which pages are worth a write. docs/operating.md says what each keeps and costs on real traces.
  public enum Admission: String, Sendable, CaseIterable {
    /// Every page that is stored.
    case all
    /// A page that a second request has asked for, whether it is still in the pool or comes back to it.
    case again
    /// None: what is in the tier is used, nothing is added.
    case none
  }

  /// Who moves the tier's work on.
  public enum Driving: Sendable {
    /// A thread of the engine's.
    case thread
    /// Whoever calls `Engine.turnTier`: simulations and dry runs, where one thread decides what happens when.
    case caller
  }

  /// The tier, not recovered yet. The engine closes it.
  public var tier: any Tier
  /// Which pages are written.
  public var admission = Admission.again
  /// Tokens that the model computes a second. With it, a page is promoted only where that is faster; nil: always.
  public var prefillTokensPerSecond: Double?
  /// The part of a slot size class that pages may take which are being promoted, or were and wait for their load.
  public var promotedShareMax = Limits.promotedShareMax
  /// Who moves the work on.
  public var driving = Driving.thread

  /// Puts a tier below the pool.
  public init(_ tier: any Tier) { self.tier = tier }
}
