import RoostPrimitives

@testable import RoostBlocks

/// The table as one would write it without thinking of speed: dictionaries, sets, arrays searched from end to end.
/// It predicts what the table with LRU answers; with another policy it takes the victims and the outcomes from the
/// table and only checks that they are allowed.
struct TableModel {
  final class Page {
    let key: Key
    let slot: UInt32
    let generation: UInt32
    var isKeyed = true
    var isPublished = false
    var loads = 0

    init(key: Key, slot: UInt32, generation: UInt32) {
      self.key = key
      self.slot = slot
      self.generation = generation
    }

    var isEvictable: Bool { isKeyed && isPublished && loads == 0 }
    /// As the pool's table shows it.
    func state(isReclaiming: Bool) -> SlotState {
      isKeyed ? (isPublished ? .ready : .writing) : isReclaiming ? .reclaiming : .retiring
    }
  }

  struct Lease {
    var isStore: Bool
    var pages: [Page]
    var request: RequestID
    var missing: Set<Int>
    var copying: Set<Int> = []
    var isDraining = false
  }

  var pages: [Key: Page] = [:]
  var pageInSlot: [UInt32: Page] = [:]
  var reclaiming: Set<UInt32> = []
  var generations: [UInt32: UInt32] = [:]
  var free: [Set<UInt32>]
  var leases: [LeaseID: Lease] = [:]
  /// LRU: keys from old to new, and those set aside because they were held when eviction met them.
  var order: [[Key]]
  var parked: [Set<Key>]
  var statistics = BlockStatistics()

  init(classCount: Int) {
    free = Array(repeating: [], count: classCount)
    order = Array(repeating: [], count: classCount)
    parked = Array(repeating: [], count: classCount)
  }

  /// Groups and classes have the same numbers here.
  static func slotClass(_ key: Key) -> Int { Int(key.group) }

  // MARK: requests

  mutating func match(_ keys: [Key]) -> [KeyState] {
    let states = keys.map { key in pages[key].map { $0.isPublished ? KeyState.ready : .pending } ?? .absent }
    statistics.lookups += keys.count
    statistics.hits += states.count { $0 == .ready }
    statistics.misses += states.count { $0 != .ready }
    return states
  }

  /// How many newcomers LRU lets in; 0 if nothing is stored.
  func limit(_ keys: [Key], _ slotClass: Int) -> Int {
    let evictable = pages.values.count { $0.isEvictable && TableModel.slotClass($0.key) == slotClass }
    let own = keys.count { pages[$0]?.isEvictable ?? false }
    return min(keys.count { pages[$0] == nil }, max(0, free[slotClass].count + evictable - own))
  }

  /// What LRU does before it stores: the request's own blocks leave the list, the oldest of the others go.
  mutating func leastRecentVictims(_ keys: [Key], _ slotClass: Int, _ limit: Int) -> [Key] {
    for key in keys where pages[key] != nil { leaveOrder(key) }
    return oldest(limit - free[slotClass].count, slotClass)
  }

  mutating func oldest(_ count: Int, _ slotClass: Int) -> [Key] {
    var victims: [Key] = []
    while victims.count < count, !order[slotClass].isEmpty {
      let key = order[slotClass].removeFirst()
      if pages[key]!.isEvictable { victims.append(key) } else { parked[slotClass].insert(key) }
    }
    return victims
  }

  mutating func evict(_ victims: [Key]) {
    for key in victims {
      leaveOrder(key)
      vacate(pages.removeValue(forKey: key)!)
    }
    statistics.evicted += victims.count
  }

  mutating func outcomes(_ keys: [Key], _ slotClass: Int, _ limit: Int) -> [StoreGrant.Outcome] {
    var admitted = Set<Key>()
    return keys.map { key in
      if pages[key] != nil || admitted.contains(key) { return .held }
      guard admitted.count < limit, admitted.count < free[slotClass].count else { return .refused }
      admitted.insert(key)
      return .admitted
    }
  }

  /// Takes over what the table granted; a string says what is not allowed.
  mutating func store(_ keys: [Key], _ grants: [StoreGrant], _ request: RequestID, shards: Int, _ id: LeaseID?)
    -> String?
  {
    var written: [Page] = []
    for (key, grant) in zip(keys, grants) {
      statistics.offered += 1
      switch grant.outcome {
      case .held: statistics.held += 1
      case .refused: statistics.refused += 1
      case .admitted:
        statistics.admitted += 1
        let slot = grant.slot.rawValue
        guard free[TableModel.slotClass(key)].remove(slot) != nil else { return "slot \(slot) was not free" }
        guard grant.generation == generations[slot]! &+ 1 else { return "slot \(slot) has no new generation" }
        generations[slot] = grant.generation
        let page = Page(key: key, slot: slot, generation: grant.generation)
        pages[key] = page
        pageInSlot[slot] = page
        written.append(page)
      }
    }
    use(keys)
    guard let id else { return written.isEmpty ? nil : "slots without a lease" }
    guard !written.isEmpty, leases[id] == nil else { return "a lease for nothing, or one that lives already" }
    leases[id] = Lease(isStore: true, pages: written, request: request, missing: Set(0..<shards))
    return nil
  }

  /// How many pages must go for a promotion of some keys.
  func excess(_ keys: [Key], _ slotClass: Int) -> Int {
    let evictable = pages.values.count { $0.isEvictable && TableModel.slotClass($0.key) == slotClass }
    return min(evictable, max(0, keys.count { pages[$0] == nil } - free[slotClass].count))
  }

  /// Takes over what a promotion was granted.
  mutating func promote(
    _ keys: [Key], _ grants: [StoreGrant], _ request: RequestID, _ id: LeaseID?, before: Set<Key>
  ) -> String? {
    let known = statistics
    var written: [Page] = []
    for (key, grant) in zip(keys, grants) {
      guard (grant.outcome == .held) == (pages[key] != nil) else { return "\(grant) for a page that is not so" }
      if grant.outcome == .refused, !before.contains(key), !free[TableModel.slotClass(key)].isEmpty {
        return "refused where there is room"
      }
      guard grant.outcome == .admitted else { continue }
      if let problem = store([key], [grant], request, shards: 1, nil), problem != "slots without a lease" {
        return problem
      }
      written.append(pages[key]!)
    }
    statistics = known
    statistics.promoted += written.count
    guard let id else { return written.isEmpty ? nil : "slots without a lease" }
    guard !written.isEmpty, leases[id] == nil else { return "a lease for nothing, or one that lives already" }
    leases[id] = Lease(isStore: true, pages: written, request: request, missing: [0])
    return nil
  }

  /// A request uses its blocks from tail to head.
  mutating func use(_ keys: [Key]) {
    for key in keys.reversed() where pages[key] != nil {
      leaveOrder(key)
      order[TableModel.slotClass(key)].append(key)
    }
  }

  mutating func load(_ keys: [Key], _ grants: [LoadGrant], _ request: RequestID, _ id: LeaseID?) -> String? {
    var read: [Page] = []
    for (key, grant) in zip(keys, grants) {
      let page = pages[key].flatMap { $0.isPublished ? $0 : nil }
      guard (page != nil) == (grant.outcome == .leased) else { return "wrong outcome" }
      statistics.missing += page == nil ? 1 : 0
      guard let page else { continue }
      guard page.slot == grant.slot.rawValue, page.generation == grant.generation else { return "wrong slot" }
      page.loads += 1
      read.append(page)
    }
    statistics.leased += read.count
    guard let id else { return read.isEmpty ? nil : "pages without a lease" }
    guard !read.isEmpty, leases[id] == nil else { return "a lease for nothing, or one that lives already" }
    leases[id] = Lease(isStore: false, pages: read, request: request, missing: [])
    return nil
  }

  // MARK: leases

  mutating func commit(_ id: LeaseID, shard: Int) -> LeaseAnswer {
    guard let lease = leases[id], lease.isStore, !lease.isDraining, lease.missing.contains(shard) else {
      return stale()
    }
    leases[id]!.missing.remove(shard)
    return finishIfPossible(id)
  }

  mutating func cancel(_ id: LeaseID) -> LeaseAnswer {
    guard let lease = leases[id] else { return stale() }
    if lease.isDraining { return .noted }
    giveUp(id)
    return finishIfPossible(id)
  }

  mutating func copiesBegan(_ id: LeaseID, _ attachment: Int) -> LeaseAnswer {
    guard let lease = leases[id], !lease.isDraining, !(lease.isStore && lease.missing.isEmpty) else { return stale() }
    leases[id]!.copying.insert(attachment)
    return .noted
  }

  mutating func copiesEnded(_ id: LeaseID, _ attachment: Int) -> LeaseAnswer {
    guard leases[id] != nil, leases[id]!.copying.remove(attachment) != nil else { return stale() }
    return finishIfPossible(id)
  }

  mutating func attachmentGone(_ attachment: Int) -> Int {
    let concerned = leases.keys.filter { leases[$0]!.copying.contains(attachment) }.sorted { $0.number < $1.number }
    for id in concerned {
      leases[id]!.copying.remove(attachment)
      if leases[id]!.isStore, !leases[id]!.isDraining { giveUp(id) }
      _ = finishIfPossible(id)
    }
    return concerned.count
  }

  mutating func reclaim(_ request: RequestID) -> Int {
    let concerned = leases.keys.filter { leases[$0]!.request == request && !leases[$0]!.isDraining }
    for id in concerned.sorted(by: { $0.number < $1.number }) {
      giveUp(id)
      _ = finishIfPossible(id)
    }
    statistics.reclaimed += concerned.count
    return concerned.count
  }

  private mutating func stale() -> LeaseAnswer {
    statistics.stale += 1
    return .stale
  }

  /// A store that is given up hides its pages at once.
  private mutating func giveUp(_ id: LeaseID) {
    leases[id]!.isDraining = true
    guard leases[id]!.isStore else { return }
    for page in leases[id]!.pages {
      if page.isKeyed {
        statistics.aborted += 1
        forgetKey(page)
      }
      reclaiming.insert(page.slot)
    }
  }

  private mutating func finishIfPossible(_ id: LeaseID) -> LeaseAnswer {
    let lease = leases[id]!
    guard lease.copying.isEmpty, lease.isDraining || (lease.isStore && lease.missing.isEmpty) else { return .noted }
    leases[id] = nil
    for page in lease.pages {
      if !lease.isStore { page.loads -= 1 }
      if lease.isStore, !lease.isDraining, page.isKeyed {
        page.isPublished = true
        statistics.published += 1
      }
      if !page.isKeyed, page.loads == 0 { vacate(page) }
    }
    for page in lease.pages where page.isEvictable {
      let slotClass = TableModel.slotClass(page.key)
      if parked[slotClass].remove(page.key) != nil { order[slotClass].insert(page.key, at: 0) }
    }
    return lease.isStore && !lease.isDraining ? .published : .ended
  }

  // MARK: contents

  mutating func retire(_ page: Page) {
    statistics.retired += 1
    forgetKey(page)
    if page.isPublished ? page.loads == 0 : false { vacate(page) }
  }

  mutating func add(_ range: Range<UInt32>, _ slotClass: Int, _ generation: UInt32, _ adopted: [AdoptedSlot]) {
    free[slotClass].formUnion(range)
    for slot in range { generations[slot] = generation }
    for entry in adopted {
      guard free[slotClass].contains(entry.slot.rawValue) else { continue }
      generations[entry.slot.rawValue] = entry.generation
      guard pages[entry.key] == nil else { continue }
      free[slotClass].remove(entry.slot.rawValue)
      let page = Page(key: entry.key, slot: entry.slot.rawValue, generation: entry.generation)
      page.isPublished = true
      pages[entry.key] = page
      pageInSlot[page.slot] = page
      order[slotClass].append(entry.key)
      statistics.adopted += 1
    }
  }

  private mutating func forgetKey(_ page: Page) {
    page.isKeyed = false
    leaveOrder(page.key)
    pages[page.key] = nil
  }

  private mutating func leaveOrder(_ key: Key) {
    order[TableModel.slotClass(key)].removeAll { $0 == key }
    parked[TableModel.slotClass(key)].remove(key)
  }

  private mutating func vacate(_ page: Page) {
    pageInSlot[page.slot] = nil
    reclaiming.remove(page.slot)
    free[TableModel.slotClass(page.key)].insert(page.slot)
  }

  // MARK: what it should look like

  func row(_ slot: UInt32) -> SlotChange {
    let page = pageInSlot[slot]
    return SlotChange(
      slot: SlotNumber(rawValue: slot), state: page?.state(isReclaiming: reclaiming.contains(slot)) ?? .free,
      generation: generations[slot]!, key: page.flatMap { $0.isKeyed ? $0.key : nil })
  }

  var expectedStatistics: BlockStatistics {
    var result = statistics
    result.free = free.reduce(0) { $0 + $1.count }
    result.allocated = pageInSlot.count
    result.capacity = result.free + result.allocated
    result.resident = pages.count
    result.unkeyed = result.allocated - result.resident
    result.evictable = pages.values.count(where: \.isEvictable)
    result.leases = leases.count
    return result
  }
}
