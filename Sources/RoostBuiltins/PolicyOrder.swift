import RoostBlocks
import RoostPrimitives
import TierDisk

/// A policy of RoostBlocks that decides over the pages of a disk: a block table whose slots are those of the disk, and
/// which holds no bytes. A batch of pages to write is to it a request that stores, a batch of pages that are read one that
/// uses. What is being written or read is held.
final class PolicyOrder: EvictionOrder {
  private(set) var table: BlockTable
  private var requestCount: UInt64 = 0
  private var grants: [StoreGrant] = []
  private var changes: [SlotChange]

  private static let size = SlotClass(rawValue: 0)

  /// The policies of a registry but `lru`, which the tier has itself, for less memory.
  static func kinds(_ policies: PolicyRegistry) -> [EvictionOrderKind] {
    var kinds: [EvictionOrderKind] = []
    for name in policies.names where name != LeastRecentlyUsed.factory.name {
      kinds.append(
        EvictionOrderKind(name: name) { (slotCountMax) throws(RoostError) -> any EvictionOrder in
          try PolicyOrder(slotCountMax: slotCountMax, policies.factory(named: name))
        })
    }
    return kinds
  }

  init(slotCountMax: Int, _ policy: PolicyFactory) throws(RoostError) {
    table = try BlockTable(BlockTableConfiguration(slotCountMax: slotCountMax, policy: policy))
    let slot = SlotNumber(rawValue: .max)
    changes = Array(repeating: SlotChange(slot: slot, state: .free, generation: 0, key: nil), count: 64)
  }

  func add(_ slots: [UInt32], holding pages: [OrderedPage]) {
    let adopted = pages.map { AdoptedSlot(key: $0.key, slot: SlotNumber(rawValue: $0.slot), generation: 0) }
    table.addSlots(slots, PolicyOrder.size, adopting: adopted)
    _ = freedSlots()
  }

  func remove(_ slots: Range<UInt32>) {
    table.removeSlots(slots, PolicyOrder.size)
    _ = freedSlots()
  }

  func place(_ keys: [Key], at nanoseconds: UInt64) -> OrderAnswer {
    let refused = StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: .max), generation: 0)
    grants.removeAll(keepingCapacity: true)
    grants.append(contentsOf: repeatElement(refused, count: keys.count))
    let origin = nextRequest(nanoseconds)
    keys.withUnsafeBufferPointer { keys in
      grants.withUnsafeMutableBufferPointer { grants in
        let request = StoreRequest(origin: origin, keys: keys, slotClass: PolicyOrder.size)
        // It fails for too many leases alone, and each of ours ends here: a page is held from now on, not written.
        if let lease = try? table.beginStore(request, into: grants) { table.commit(lease) }
      }
    }
    let evicted = freedSlots()
    let placings = grants.map { grant -> OrderAnswer.Placing in
      switch grant.outcome {
      case .held: return .held
      case .refused: return .refused
      case .admitted:
        table.hold(grant.slot.rawValue)
        return .slot(grant.slot.rawValue)
      }
    }
    return OrderAnswer(placings: placings, evicted: evicted)
  }

  func use(_ keys: [Key], at nanoseconds: UInt64) -> [UInt32] {
    let origin = nextRequest(nanoseconds)
    keys.withUnsafeBufferPointer { table.touch($0, PolicyOrder.size, origin) }
    return freedSlots()
  }

  func hold(_ slot: UInt32) { table.hold(slot) }

  func release(_ slot: UInt32) { table.release(slot) }

  func forget(_ identity: IdentityID) {
    table.forget(identity)
    _ = freedSlots()
  }

  private func nextRequest(_ nanoseconds: UInt64) -> RequestOrigin {
    requestCount += 1
    return RequestOrigin(request: RequestID(rawValue: requestCount), time: nanoseconds)
  }

  /// The slots that the last verb left free.
  private func freedSlots() -> [UInt32] {
    var freed: [UInt32] = []
    while true {
      let count = changes.withUnsafeMutableBufferPointer { table.drainChanges(into: $0) }
      for change in changes[..<count] where change.state == .free { freed.append(change.slot.rawValue) }
      if count < changes.count { return freed }
    }
  }
}
