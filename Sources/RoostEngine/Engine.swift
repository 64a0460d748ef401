import RoostBlocks
import RoostPool
import RoostPrimitives
import Synchronization

/// The control plane of a cache: keys, leases and decisions, over a pool that it owns.
///
/// The life of a block, verb by verb: `match`, then `beginLoad` and `end` around the copies of what was found, then
/// `beginStore` and `commit` around the copies of what was computed. A `DataPlane` makes the copies. Every verb is a
/// batch of plain values, takes the one lock once, and touches no page - but for the seals that `Verification.host`
/// asks for, which are made outside the lock.
///
/// Thread-safe. No verb blocks, except `reset` and `close`, which wait for leases to end and have deadlines.
///
/// Who validates: callers from outside (the ABI, the program) have checked sizes and numbers; here a key of a group
/// that the engine does not have, or an answer buffer that is too short, is a programmer's error.
public final class Engine: Sendable {
  /// What the engine was made from.
  public let configuration: EngineConfiguration
  /// The pool, nil in a dry run.
  public let pool: Pool?
  let state: Guarded<EngineState>
  let slotClasses: [SlotClass]
  let tier: TierLink?
  let sealer: Locked<Sealer?> = Locked(nil)
  let routes = Locked(MessageRoutes())
  let service: Locked<WorkerService?> = Locked(nil)

  /// Opens an engine: makes or adopts the pool. Returns at once; slots become usable as the pool commits them
  /// (`waitUntilCommitted`).
  ///
  /// - Throws: `invalidInput` for a configuration that makes no sense, `busy` if the pool has an owner, and what
  ///   the system refuses.
  public static func open(_ configuration: EngineConfiguration) throws(RoostError) -> Engine {
    try configuration.validate()
    let engine = try Engine(configuration)
    try engine.recover()
    try engine.startSealing()
    try engine.startServing()
    try engine.startTier()
    return engine
  }

  private init(_ configuration: EngineConfiguration) throws(RoostError) {
    self.configuration = configuration
    let sizes = configuration.slotByteCounts
    slotClasses = configuration.groups.map { group in
      // Every group's size is among the sizes that were made from the groups.
      SlotClass(rawValue: UInt8(sizes.firstIndex(of: group.pageByteCount)!))
    }
    let slotCount: Int
    switch configuration.memory {
    case .none(let count):
      pool = nil
      slotCount = count * sizes.count
    case .pool(var wanted):
      wanted.slotByteCounts = sizes
      if wanted.contentToken == 0 { wanted.contentToken = configuration.contentToken }
      let opened = try Pool.open(wanted)
      pool = opened
      slotCount = opened.memory.slotCountMax
    }
    var shape = BlockTableConfiguration(
      slotCountMax: max(1, slotCount), slotClassCount: sizes.count, policy: configuration.policy,
      reportsChanges: pool != nil)
    shape.storeRequestCountMin = configuration.storeRequestCountMin
    let table = try BlockTable(shape)
    var state = EngineState(
      table: table, slotClassCount: sizes.count, eventCountMax: configuration.eventCountMax)
    if pool == nil {
      for number in sizes.indices {
        let first = UInt32(number * (slotCount / sizes.count))
        let count = min(slotCount / sizes.count, configuration.slotCountMax ?? .max)
        state.table.addSlots(first..<first + UInt32(count), SlotClass(rawValue: UInt8(number)))
      }
    }
    tier = configuration.tier.map { [pool] in TierLink($0, pool) }
    if let setup = configuration.tier {
      // A page is worth a write if it is asked for again before the tier would have lost it: remembered as long as that.
      let pagesBelow = setup.tier.usage.capacityBytes / (sizes.min() ?? 1)
      state.books = try TierBooks(
        setup, classCount: sizes.count, blockCount: max(slotCount, pagesBelow), at: configuration.clock.nanoseconds)
    }
    self.state = Guarded(state)
  }

  /// The number of an identity in this engine, given now if it has none yet.
  ///
  /// - Throws: `outOfResources` if the pool's table of identities is full.
  public func intern(_ identity: Identity) throws(RoostError) -> IdentityID {
    try intern(identity.digest)
  }

  /// The number of an identity whose digest is known.
  public func intern(_ digest: IdentityDigest) throws(RoostError) -> IdentityID {
    try state.withLock { state throws(RoostError) in
      if let known = state.identities.id(of: digest) { return known }
      guard !state.isClosed else { throw RoostError(.stale, "the engine is closed") }
      try pool?.record(IdentityID(rawValue: UInt32(state.identities.digests.count)), digest)
      return state.identities.intern(digest)
    }
  }

  /// Whether a number is one that `intern` gave out: keys with others must not get here.
  public func knows(_ identity: IdentityID) -> Bool {
    state.withLock { Int(identity.rawValue) < $0.identities.digests.count }
  }

  /// The slot size class of a group.
  func slotClass(_ group: Int) -> SlotClass { slotClasses[group] }

  /// The most slots of a class that may be used.
  var slotLimit: Int { configuration.slotCountMax ?? .max }

  /// What happened so far.
  public var statistics: EngineStatistics {
    let committed = pool?.capacity.committedBytes ?? 0
    let attached = routes.withLock { $0.attachments.count }
    let tier = tierStatistics()
    return state.withLock { state in
      EngineStatistics(
        blocks: state.table.statistics, sealed: state.counters.sealed, checked: state.counters.checked,
        corrupt: state.counters.corrupt, failedBlocks: state.counters.failedBlocks, attachments: attached,
        attachmentsGone: state.counters.attachmentsGone, committedBytes: committed,
        handedOut: state.handOuts.count, eventsDropped: state.events.droppedCount, tier: tier)
    }
  }

  /// Bytes of metadata that the control plane reserves for each slot.
  public var metadataBytesPerSlot: Double { state.withLock { $0.table.bytesPerSlot } }

  /// Waits until the pool has committed all that the system gives, and makes all of it usable for a single slot size
  /// class; with several, chunks are cut when a store needs them. Waits also until a tier has found what it holds.
  ///
  /// - Returns: whether that was so in time.
  @discardableResult public func waitUntilCommitted(until deadline: Deadline) -> Bool {
    waitForTier(until: deadline)
    guard let pool else { return true }
    let isCommitted = pool.wait(forBytes: .max, until: deadline).isSettled
    if configuration.slotByteCounts.count == 1 {
      let limit = slotLimit
      state.withLock { state in
        // After `close` the table may be another owner's.
        guard !state.isClosed else { return }
        state.grow(SlotClass(rawValue: 0), wanted: .max, limit: limit, from: pool)
      }
    }
    return isCommitted
  }

  /// Slots of a group's size class that are usable now.
  public func slotCount(group: Int = 0) -> Int {
    let slotClass = slotClass(group)
    return state.withLock { $0.table.capacity(slotClass) }
  }
}
