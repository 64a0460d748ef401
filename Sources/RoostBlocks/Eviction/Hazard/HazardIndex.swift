import RoostPrimitives

/// The default policy: keeps the blocks that earn the most hits for each second in a slot, and does not let in what
/// earns less than what would have to go.
///
/// Each block has a class, fixed at its last touch; for each class the policy learns online at which ages blocks come
/// back (`HazardModel`). It evicts the lowest index, leaves first, and refuses a newcomer whose index is below its
/// victim's. One set of constants serves everything; nothing is tuned to a workload. A shadow of LRU tells at every
/// request how that would have done; when it has been ahead by a cache-full, the policy acts as LRU for a while.
///
/// Ghosts: at most twice the slots. Time: O(1) a block, and a look at the non-empty segments for a
/// request that evicts. docs/guides/choosing-a-policy.md has the figures.
public final class HazardIndex: EvictionPolicy {
  /// `hazard`: a resident, a full ghost and a thinned ghost a slot.
  public static let factory = PolicyFactory(name: "hazard", recordsPerSlot: 3) {
    recordCount throws(RoostError) in try HazardIndex(recordCount: recordCount)
  }

  /// One struct, so that a call asks once for exclusive access to all of it.
  private var state: HazardState

  /// Makes a policy for record numbers below `recordCount`.
  ///
  /// - Throws: `outOfResources` when there is not enough address space.
  public init(recordCount: Int) throws(RoostError) { state = try HazardState(recordCount: recordCount) }

  /// True: blocks without a slot are what it learns from.
  public var keepsGhosts: Bool { true }

  /// 48 bytes a record; the model's some 100 KiB are not counted.
  public var reservedBytes: Int { state.reservedBytes }

  /// Looks at the request, then names victims, lowest index first, and refuses newcomers that earn less.
  public func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    state.decide(event, victims: &victims)
  }

  /// Gives up the oldest ghosts.
  public func makeRecords(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    state.trimGhosts(event.capacity, expecting: state.plan.refusedCount, dropped: &dropped)
  }

  /// Puts the request's blocks where they belong now.
  public func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) { state.settle(event, dropped: &dropped) }

  /// Puts blocks that stood aside back.
  public func released(_ records: [RecordNumber]) { state.putBack(records) }

  /// Forgets blocks that were taken away.
  public func removed(_ records: [RecordNumber]) {
    for record in records { state.remove(record.rawValue) }
  }

  /// Takes blocks in as touched once, now, each in a request of its own.
  public func adopted(_ records: [RecordNumber]) {
    for record in records { state.adopt(record.rawValue) }
  }

  /// The lowest indices first.
  public func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    state.evict(count, states, victims: &victims)
  }

  /// Forgets all blocks and all that was learned.
  public func reset() { state.reset() }

  /// Every list must be linked both ways and hold what it counts; the shadow must be the newest blocks; residents must
  /// be resident in the table.
  public func checkInvariants(_ states: BlockStates) -> [String] { state.checkInvariants(states) }
}
