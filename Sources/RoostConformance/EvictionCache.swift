import RoostBlocks
import RoostPrimitives

/// A block table of one slot class without a pool.
final class EvictionCache {
  var table: BlockTable
  /// Nanoseconds; moves on by a second a request.
  private(set) var time: UInt64 = 0
  let slotClass = SlotClass(rawValue: 0)

  init(_ policy: PolicyFactory, slots: Int) throws(RoostError) {
    table = try BlockTable(BlockTableConfiguration(slotCountMax: slots, policy: policy, reportsChanges: false))
    table.addSlots(0..<UInt32(slots), slotClass)
  }

  private func origin() -> RequestOrigin {
    time += 1_000_000_000
    return RequestOrigin(request: RequestID(rawValue: time), time: time)
  }

  /// Begins a store; what became of each key, and the lease.
  func begin(_ keys: [Key]) throws(RoostError) -> (outcomes: [StoreGrant.Outcome], lease: LeaseID?) {
    let grants = UnsafeMutableBufferPointer<StoreGrant>.allocate(capacity: keys.count)
    let copies = UnsafeMutableBufferPointer<Key>.allocate(capacity: keys.count)
    defer {
      grants.deallocate()
      copies.deallocate()
    }
    _ = copies.initialize(from: keys)
    let request = StoreRequest(origin: origin(), keys: UnsafeBufferPointer(copies), slotClass: slotClass)
    let lease = try table.beginStore(request, into: grants)
    return (grants.map(\.outcome), lease)
  }

  /// Stores and publishes.
  @discardableResult func store(_ keys: [Key]) throws(RoostError) -> [StoreGrant.Outcome] {
    let (outcomes, lease) = try begin(keys)
    if let lease { table.commit(lease) }
    return outcomes
  }

  func load(_ keys: [Key]) throws(RoostError) -> LeaseID? {
    let grants = UnsafeMutableBufferPointer<LoadGrant>.allocate(capacity: keys.count)
    let copies = UnsafeMutableBufferPointer<Key>.allocate(capacity: keys.count)
    defer {
      grants.deallocate()
      copies.deallocate()
    }
    _ = copies.initialize(from: keys)
    return try table.beginLoad(UnsafeBufferPointer(copies), origin(), into: grants)
  }

  func touch(_ keys: [Key]) {
    let origin = origin()
    keys.withUnsafeBufferPointer { table.touch($0, slotClass, origin) }
  }

  func isReady(_ keys: [Key]) -> [Bool] {
    var states = [KeyState](repeating: .absent, count: keys.count)
    keys.withUnsafeBufferPointer { keys in
      states.withUnsafeMutableBufferPointer { _ = table.match(keys, into: $0) }
    }
    return states.map { $0 == .ready }
  }
}
