import RoostPrimitives

/// The engine's number of a request: what leases are reclaimed by.
public struct RequestID: RawRepresentable, Hashable, Sendable {
  /// The number.
  public let rawValue: UInt64
  /// Wraps a number.
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// The number of a slot size class, dense from 0. A group of layers has one class; several groups may share one.
public struct SlotClass: RawRepresentable, Hashable, Sendable {
  /// The number.
  public let rawValue: UInt8
  /// Wraps a number.
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
}

/// Who asks, and for which request, and when, and what is known of the request.
public struct RequestOrigin: Sendable, Hashable {
  /// The request.
  public var request: RequestID
  /// A number for whoever asked, reported with leaked leases; means nothing to the table.
  public var owner: UInt32
  /// Now, in nanoseconds of the engine's clock.
  public var time: UInt64
  /// Tokens that the request generated, nil if that is not known. A policy may keep the blocks of a long answer longer.
  public var outputTokenCount: Int?

  /// Names a request, its owner and the time.
  @inlinable public init(request: RequestID, owner: UInt32 = 0, time: UInt64, outputTokenCount: Int? = nil) {
    self.request = request
    self.owner = owner
    self.time = time
    self.outputTokenCount = outputTokenCount
  }
}

/// What is known of a key.
public enum KeyState: UInt8, Sendable, CaseIterable {
  /// Nothing.
  case absent
  /// A store is under way.
  case pending
  /// Can be loaded now.
  case ready
  /// Not in the pool, but in a tier below it.
  case below

  /// Packs "is ready" into a bit mask: bit i % 64 of word i / 64 belongs to state i.
  ///
  /// - Precondition: `mask` has a word for every 64 states.
  public static func pack(_ states: UnsafeBufferPointer<KeyState>, into mask: UnsafeMutableBufferPointer<UInt64>) {
    precondition(mask.count * 64 >= states.count, "the mask is too short")
    mask.update(repeating: 0)
    for position in states.indices where states[position] == .ready { mask[position >> 6] |= 1 << (position & 63) }
  }
}

/// The answer of `beginStore` for one key.
public struct StoreGrant: Sendable, Hashable {
  /// What is to be done with the block.
  public enum Outcome: UInt8, Sendable {
    /// Nothing: it is stored already or being stored.
    case held
    /// Copy it to the slot.
    case admitted
    /// Nothing: the policy does not let it in, or there is no room.
    case refused
  }

  /// What is to be done.
  public var outcome: Outcome
  /// Where to, if admitted.
  public var slot: SlotNumber
  /// Which content of the slot; goes with every job and commit.
  public var generation: UInt32

  /// Makes a grant.
  @inlinable public init(outcome: Outcome, slot: SlotNumber, generation: UInt32) {
    self.outcome = outcome
    self.slot = slot
    self.generation = generation
  }
}

/// The answer of `beginLoad` for one key.
public struct LoadGrant: Sendable, Hashable {
  /// Whether the block can be loaded.
  public enum Outcome: UInt8, Sendable {
    /// It is held until the lease ends.
    case leased
    /// It is not there, or not yet.
    case missing
  }

  /// Whether the block can be loaded.
  public var outcome: Outcome
  /// Where from, if leased.
  public var slot: SlotNumber
  /// Which content of the slot.
  public var generation: UInt32

  /// Makes a grant.
  @inlinable public init(outcome: Outcome, slot: SlotNumber, generation: UInt32) {
    self.outcome = outcome
    self.slot = slot
    self.generation = generation
  }
}
