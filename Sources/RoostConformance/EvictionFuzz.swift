import RoostBlocks
import RoostPrimitives

/// One random verb after another, against what is known without knowing the policy.
struct EvictionFuzz {
  let cache: EvictionCache
  private(set) var problems: [String] = []
  private var workload: EvictionWorkload
  private var stores: [LeaseID] = []
  private var loads: [(lease: LeaseID, keys: [Key])] = []

  init(seed: UInt64, cache: EvictionCache) {
    self.cache = cache
    workload = EvictionWorkload(seed: seed)
  }

  mutating func step() throws(RoostError) {
    var keys = workload.next()
    switch Int.random(in: 0..<20, using: &workload.random) {
    case 0..<9:
      // The same block twice, now and then.
      if Int.random(in: 0..<6, using: &workload.random) == 0 { keys.append(keys[0]) }
      if let lease = try cache.begin(keys).lease { stores.append(lease) }
    case 9..<12: if !stores.isEmpty { cache.table.commit(stores.removeFirst()) }
    case 12: if let lease = stores.popLast() { cache.table.abort(lease) }
    case 13, 14: try load(keys)
    case 15, 16: if !loads.isEmpty { cache.table.end(loads.removeFirst().lease) }
    case 17: cache.touch(keys)
    case 18: evict()
    default:
      if stores.isEmpty, loads.isEmpty {
        try cache.table.reset()
      } else if loads.isEmpty {
        cache.table.forget(IdentityID(rawValue: 1))
      }
    }
    for load in loads where !cache.isReady(load.keys).allSatisfy({ $0 }) { problems.append("a held block is gone") }
  }

  private mutating func load(_ keys: [Key]) throws(RoostError) {
    let ready = zip(keys, cache.isReady(keys)).filter(\.1).map(\.0)
    guard !ready.isEmpty, let lease = try cache.load(ready) else { return }
    loads.append((lease, ready))
  }

  private mutating func evict() {
    let count = Int.random(in: 0...4, using: &workload.random)
    let expected = min(count, cache.table.statistics.evictable)
    let done = cache.table.evict(count, cache.slotClass)
    if done != expected { problems.append("evicted \(done), not \(expected)") }
  }
}
