/// What a lease is for.
public enum LeaseKind: UInt8, Sendable, CaseIterable {
  /// Workers write its slots; published when every shard has arrived.
  case store
  /// Workers read its slots.
  case load
}

/// The life of a lease. A pure state machine: an event changes it and says what is to be done with its slots.
///
/// A fence is a bit in `copying`: that attachment has copies running on the lease's slots. Slots are given up only when
/// no fence is left, because a copy that was handed to a device can neither be called back nor watched from outside.
public struct LeaseState: Hashable, Sendable {
  /// How far a lease has come.
  public enum Phase: UInt8, Sendable, CaseIterable {
    /// In use.
    case open
    /// A store with all its shards, which waits for its last fences before it is published.
    case publishing
    /// Given up; waits for its last fences.
    case draining
    /// Over.
    case ended
  }

  /// What happens to a lease.
  public enum Event: Hashable, Sendable {
    /// A worker reports that its shard of every page has arrived.
    case shardArrived(Int)
    /// The owner gives it up: abort, end, reclaim.
    case cancel
    /// An attachment starts copies.
    case copiesBegan(Int)
    /// The attachment has no copies running any more.
    case copiesEnded(Int)
    /// The attachment's process is gone, and its copies with it, at whatever byte they were.
    case attachmentGone(Int)
  }

  /// What is to be done with the lease's slots.
  public enum Action: UInt8, Sendable {
    /// Nothing.
    case none
    /// Nothing; the event does not fit and is to be counted.
    case ignore
    /// Publish them; the lease is over.
    case publish
    /// Free them; the lease is over.
    case abort
    /// Hide them, but reuse none before `drain`.
    case hold
    /// Free what `hold` hid; the lease is over.
    case drain
    /// Let go of them; the lease is over.
    case release
  }

  /// What the lease is for.
  public let kind: LeaseKind
  /// How far it has come.
  public private(set) var phase = Phase.open
  /// Shards that have not arrived, a bit each.
  public private(set) var missingShards: UInt64
  /// Attachments with copies running, a bit each.
  public private(set) var copying: UInt64 = 0

  /// A new lease; a load has no shards.
  ///
  /// - Precondition: `shardCount` is 1 to 64 for a store, 0 for a load.
  public init(kind: LeaseKind, shardCount: Int) {
    precondition(kind == .load ? shardCount == 0 : 1...Limits.shardCountMax ~= shardCount, "a page has 1 to 64 shards")
    self.kind = kind
    missingShards = shardCount == 0 ? 0 : .max >> UInt64(64 - shardCount)
  }

  /// Changes the state and says what is to be done.
  public mutating func handle(_ event: Event) -> Action {
    guard phase != .ended else { return .ignore }
    switch event {
    case .shardArrived(let shard): return shardArrived(shard)
    case .cancel: return phase == .draining ? .none : giveUp()
    case .copiesBegan(let attachment): return copiesBegan(attachment)
    case .copiesEnded(let attachment): return removeFence(attachment) ? settle() : .ignore
    case .attachmentGone(let attachment):
      guard removeFence(attachment) else { return .none }
      // The page is half-written, and nobody will finish it.
      return kind == .store && phase != .draining ? giveUp() : settle()
    }
  }

  private mutating func shardArrived(_ shard: Int) -> Action {
    guard kind == .store, phase == .open, let bit = LeaseState.bit(shard), missingShards & bit != 0 else {
      return .ignore
    }
    missingShards &= ~bit
    if missingShards == 0 { phase = .publishing }
    return settle()
  }

  private mutating func copiesBegan(_ attachment: Int) -> Action {
    guard phase == .open, let bit = LeaseState.bit(attachment) else { return .ignore }
    copying |= bit
    return .none
  }

  private mutating func giveUp() -> Action {
    phase = .draining
    if copying != 0 { return kind == .store ? .hold : .none }
    phase = .ended
    return kind == .store ? .abort : .release
  }

  /// What the last fence was waited for.
  private mutating func settle() -> Action {
    guard copying == 0, phase != .open else { return .none }
    let before = phase
    phase = .ended
    if before == .publishing { return .publish }
    return kind == .store ? .drain : .release
  }

  private mutating func removeFence(_ attachment: Int) -> Bool {
    guard let bit = LeaseState.bit(attachment), copying & bit != 0 else { return false }
    copying &= ~bit
    return true
  }

  private static func bit(_ number: Int) -> UInt64? { 0..<64 ~= number ? 1 << UInt64(number) : nil }
}
