import RoostBlocks
import RoostPool
import RoostPrimitives

/// What an engine shall be.
public struct EngineConfiguration: Sendable {
  /// Where pages are kept.
  public enum Memory: Sendable {
    /// Nowhere: the control plane alone, over this many slots of every size class. For dry runs and tests.
    case none(slotCount: Int)
    /// In a pool. Its `slotByteCounts` are filled in from the groups.
    case pool(PoolConfiguration)
  }

  /// When the bytes of a page are checked against their seal.
  public enum Verification: Sendable, CaseIterable {
    /// Never: whoever keeps a pool trusts its memory. For measurements, and to see what the checks are good for.
    case none
    /// Only a page that an earlier process left behind, once, before its first load.
    case adopted
    /// Every page before every load; sealed before it is published. Costs one reading of the page each time.
    case host
  }

  /// The model's groups, in the order of `Key.group`.
  public var groups: [Group]
  /// Where pages are kept.
  public var memory: Memory
  /// The eviction policy.
  public var policy: PolicyFactory
  /// Requests that a block must stand in before it is stored, that one included. More than 1 spares a host whose
  /// bandwidth for stores is short, and costs the hits in between; 16 bytes a slot.
  public var storeRequestCountMin = 1
  /// The most slots of a size class that are used, nil: whatever the memory gives.
  public var slotCountMax: Int?
  /// When bytes are checked.
  public var verification = Verification.adopted
  /// When to evict in the background, nil: only when a store needs room.
  public var watermark: Watermark?
  /// How many events (`takeEvents`) are kept for a caller who takes them; 0: none.
  public var eventCountMax = 0
  /// Whether a thread takes in what workers report as soon as they do: for engines that hand leases out (`handOut`).
  /// Without it somebody has to call `poll`.
  public var servesWorkers = false
  /// The tier below the pool, nil: none.
  public var tier: TierSetup?
  /// Where time comes from.
  public var clock: any Clock = MonotonicClock()

  /// One group of layers.
  public struct Group: Sendable, Hashable {
    /// The bytes of a page.
    public var pageByteCount: Int
    /// Which of a request's blocks it needs.
    public var kind: GroupKind
    /// The tokens of one block.
    public var tokensPerBlock: Int

    /// Describes a group.
    public init(pageByteCount: Int, kind: GroupKind = .full, tokensPerBlock: Int) {
      self.pageByteCount = pageByteCount
      self.kind = kind
      self.tokensPerBlock = tokensPerBlock
    }
  }

  /// Asks for an engine.
  public init(groups: [Group], memory: Memory, policy: PolicyFactory = HazardIndex.factory) {
    self.groups = groups
    self.memory = memory
    self.policy = policy
  }

  func validate() throws(RoostError) {
    guard !groups.isEmpty, groups.count <= Limits.groupCountMax else {
      throw RoostError(.invalidInput, "a model has 1 to \(Limits.groupCountMax) groups, not \(groups.count)")
    }
    for (number, group) in groups.enumerated() where group.pageByteCount <= 0 {
      throw RoostError(.invalidInput, "the pages of group \(number) need a size, not \(group.pageByteCount) bytes")
    }
    for (number, group) in groups.enumerated() {
      guard 1...Limits.tokensPerBlockMax ~= group.tokensPerBlock else {
        throw RoostError(
          .invalidInput,
          "the blocks of group \(number) have 1 to \(Limits.tokensPerBlockMax) tokens, not \(group.tokensPerBlock)")
      }
      guard case .window(let tokens) = group.kind, !(0...Limits.windowTokensMax ~= tokens) else { continue }
      throw RoostError(
        .invalidInput, "the window of group \(number) has 0 to \(Limits.windowTokensMax) tokens, not \(tokens)")
    }
    if let slotCountMax, slotCountMax <= 0 {
      throw RoostError(.invalidInput, "an engine needs at least one slot, not \(slotCountMax)")
    }
  }

  /// Stands for the groups: pages that a former owner kept make sense only if they are the same.
  var contentToken: UInt64 {
    groups.reduce(SplitMix64.mix(UInt64(groups.count))) { token, group in
      let kind: UInt64 =
        switch group.kind {
        case .full: 0
        case .window(let tokens): UInt64(tokens) << 2 | 1
        case .state: 2
        }
      return [UInt64(group.pageByteCount), UInt64(group.tokensPerBlock), kind].reduce(token) { SplitMix64.mix($0 ^ $1) }
    }
  }

  /// The different page sizes, in the order of the groups: the pool's slot size classes.
  var slotByteCounts: [Int] {
    var sizes: [Int] = []
    for group in groups where !sizes.contains(group.pageByteCount) { sizes.append(group.pageByteCount) }
    return sizes
  }
}
