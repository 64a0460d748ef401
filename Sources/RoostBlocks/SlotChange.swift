import RoostPrimitives

/// What the row of a slot in the pool's shared table should now say.
public struct SlotChange: Sendable, Hashable {
  /// The slot.
  public var slot: SlotNumber
  /// Its state; `leased` is reported as `ready`, because leases concern the control plane alone.
  public var state: SlotState
  /// The generation of its content.
  public var generation: UInt32
  /// The key that leads to it, nil unless the state is `writing` or `ready`.
  public var key: Key?

  /// Makes a change.
  public init(slot: SlotNumber, state: SlotState, generation: UInt32, key: Key?) {
    self.slot = slot
    self.state = state
    self.generation = generation
    self.key = key
  }
}

/// A page that a kept pool brings along.
public struct AdoptedSlot: Sendable, Hashable {
  /// Whose page it is.
  public var key: Key
  /// The slot.
  public var slot: SlotNumber
  /// The generation in the slot's row.
  public var generation: UInt32

  /// Makes an entry.
  public init(key: Key, slot: SlotNumber, generation: UInt32) {
    self.key = key
    self.slot = slot
    self.generation = generation
  }
}
