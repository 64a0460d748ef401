/// The life of a slot. A pure state machine: `after` says what an event does, the table does it.
///
///     free -> writing -> ready <-> leased -> ... -> free
///                |          \          \
///                +-> reclaiming         +-> retiring (held, but its key is forgotten)
public enum SlotState: UInt8, CaseIterable, Sendable {
  /// Holds nothing; can be admitted to.
  case free
  /// A store lease holds it, workers write it, nobody can load it.
  case writing
  /// Published and held by nobody: can be loaded and evicted.
  case ready
  /// Published and held by at least one load lease.
  case leased
  /// A lease holds it but its key is gone (forgotten, discarded): free as soon as the lease ends.
  case retiring
  /// No key and no lease; copies may still be writing it. Free when every process has acknowledged or is gone.
  case reclaiming

  /// Whether the slot's key leads to it.
  @inlinable public var isFindable: Bool { self == .writing || self == .ready || self == .leased }

  /// Whether a load may read it.
  @inlinable public var isLoadable: Bool { self == .ready || self == .leased }

  /// The state after `event`, or nil if the event cannot happen in this state.
  public func after(_ event: SlotEvent) -> SlotState? {
    switch self {
    case .free: afterInFree(event)
    case .writing: afterInWriting(event)
    case .ready: afterInReady(event)
    case .leased: afterInLeased(event)
    case .retiring: afterInRetiring(event)
    case .reclaiming: event == .drain ? .free : nil
    }
  }

  private func afterInFree(_ event: SlotEvent) -> SlotState? {
    switch event {
    case .admit: .writing
    case .adopt: .ready
    default: nil
    }
  }

  private func afterInWriting(_ event: SlotEvent) -> SlotState? {
    switch event {
    case .publish: .ready
    case .abort: .free
    case .abortUnderCopy: .reclaiming
    case .retire: .retiring
    default: nil
    }
  }

  private func afterInReady(_ event: SlotEvent) -> SlotState? {
    switch event {
    case .lease: .leased
    case .evict, .retire: .free
    default: nil
    }
  }

  private func afterInLeased(_ event: SlotEvent) -> SlotState? {
    switch event {
    case .lease, .release: .leased
    case .releaseLast: .ready
    case .retire: .retiring
    default: nil
    }
  }

  private func afterInRetiring(_ event: SlotEvent) -> SlotState? {
    switch event {
    case .release: .retiring
    case .releaseLast, .publish, .abort: .free
    case .abortUnderCopy: .reclaiming
    default: nil
    }
  }
}

/// What can happen to a slot.
public enum SlotEvent: UInt8, CaseIterable, Sendable {
  /// `beginStore` gives the slot to a new block.
  case admit
  /// A kept pool brings the slot with a sealed page in it.
  case adopt
  /// Every shard of the store has arrived.
  case publish
  /// The store failed and no copy is running.
  case abort
  /// The store failed while copies may still be writing.
  case abortUnderCopy
  /// The last copy that may have been writing is acknowledged, or its process is gone.
  case drain
  /// `beginLoad` holds the slot.
  case lease
  /// A load lease ended and others remain.
  case release
  /// The last load lease ended.
  case releaseLast
  /// The policy gives the slot up.
  case evict
  /// The key must not be found any more: its identity is forgotten, or its bytes did not pass their check.
  case retire
}
