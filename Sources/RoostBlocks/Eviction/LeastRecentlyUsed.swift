import RoostPrimitives

/// Evicts the block that was used longest ago, where a request uses its blocks from tail to head: so a block outlives
/// everything behind it, because a prefix is worth nothing without its head.
///
/// A doubly linked list in one array of 8 bytes a record. A held block that eviction meets at the old end is parked:
/// taken out of the list, so that it is met once and not at every eviction, and put back at the old end when it is
/// released. Admits whatever fits.
public final class LeastRecentlyUsed: EvictionPolicy {
  /// `lru`: one record a slot.
  public static let factory = PolicyFactory(name: "lru", recordsPerSlot: 1) {
    recordCount throws(RoostError) in try LeastRecentlyUsed(recordCount: recordCount)
  }

  /// Neighbours as node numbers: a record's node is its number plus 2, node 1 is both ends of the list, and zero,
  /// which fresh memory has, means "not in the list".
  private struct Link {
    var older: UInt32
    var newer: UInt32
  }

  private static let ends: UInt32 = 1
  private static let firstNode: UInt32 = 2
  private static let parked = Link(older: 0, newer: .max)

  private let storage: ReservedArray<Link>
  private let links: UnsafeMutablePointer<Link>
  private var parkedCount = 0

  /// Makes an empty list for record numbers below `recordCount`.
  ///
  /// - Throws: `outOfResources` when there is not enough address space.
  public init(recordCount: Int) throws(RoostError) {
    storage = try ReservedArray(count: recordCount + Int(LeastRecentlyUsed.firstNode))
    links = storage.pointer
    clear()
  }

  /// False: a block without a slot is forgotten.
  public var keepsGhosts: Bool { false }

  /// 8 bytes a record.
  public var reservedBytes: Int { storage.reservedBytes }

  /// Lets in what fits, and evicts from the old end for it.
  public func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    warm(event.blocks)
    // Out of the list, the request's own blocks cannot become victims; `settle` puts them back.
    for block in event.blocks where block.standing == .held { detach(node(block.record)) }
    let admitted = min(event.newcomerCount, event.admissionMax)
    takeOldest(admitted - event.freeSlotCount, event.states, victims: &victims)
    return admitted
  }

  /// Moves the request's blocks to the new end, tail first.
  public func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    for block in event.blocks.reversed() where block.record != .none {
      let node = node(block.record)
      detach(node)  // The same block twice in one request.
      attach(node, olderThan: LeastRecentlyUsed.ends)
    }
  }

  /// Puts parked blocks back, the tail at the very end.
  public func released(_ records: [RecordNumber]) {
    guard parkedCount > 0 else { return }
    for record in records where isParked(node(record)) {
      detach(node(record))
      attach(node(record), olderThan: links[Int(LeastRecentlyUsed.ends)].newer)
    }
  }

  /// Takes blocks out of the list.
  public func removed(_ records: [RecordNumber]) {
    for record in records { detach(node(record)) }
  }

  /// Puts blocks at the new end, in the order given.
  public func adopted(_ records: [RecordNumber]) {
    for record in records { attach(node(record), olderThan: LeastRecentlyUsed.ends) }
  }

  /// The oldest blocks that nobody holds.
  public func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    takeOldest(count, states, victims: &victims)
  }

  /// Empties the list.
  public func reset() {
    storage.zero()
    clear()
  }

  /// The list must be one ring, in both directions; everything in it resident.
  public func checkInvariants(_ states: BlockStates) -> [String] {
    var problems: [String] = []
    var node = links[Int(LeastRecentlyUsed.ends)].newer
    var previous = LeastRecentlyUsed.ends
    var steps = 0
    while node != LeastRecentlyUsed.ends, steps <= storage.count {
      if links[Int(node)].older != previous { problems.append("node \(node) does not point back") }
      if !states.isResident(record(node)) { problems.append("node \(node) is in the list and not resident") }
      previous = node
      node = links[Int(node)].newer
      steps += 1
    }
    if links[Int(LeastRecentlyUsed.ends)].older != previous { problems.append("the new end is not the last node") }
    if steps > storage.count { problems.append("the list does not end") }
    let parked = (Int(LeastRecentlyUsed.firstNode)..<storage.count).count { isParked(UInt32($0)) }
    if parked != parkedCount { problems.append("\(parked) nodes are parked, counted \(parkedCount)") }
    return problems
  }

  /// The blocks in the list from oldest to newest, for tests; parked ones are not among them.
  public var order: [RecordNumber] {
    var result: [RecordNumber] = []
    var node = links[Int(LeastRecentlyUsed.ends)].newer
    while node != LeastRecentlyUsed.ends {
      result.append(record(node))
      node = links[Int(node)].newer
    }
    return result
  }

  private func clear() {
    links[Int(LeastRecentlyUsed.ends)] = Link(older: LeastRecentlyUsed.ends, newer: LeastRecentlyUsed.ends)
    parkedCount = 0
  }

  /// Moves up to `count` evictable blocks from the old end to `victims`, and parks the held ones that it meets.
  private func takeOldest(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    var missing = count
    while missing > 0 {
      let oldest = links[Int(LeastRecentlyUsed.ends)].newer
      if oldest == LeastRecentlyUsed.ends { return }
      detach(oldest)
      if states.isEvictable(record(oldest)) {
        victims.append(record(oldest))
        missing -= 1
      } else {
        links[Int(oldest)] = LeastRecentlyUsed.parked
        parkedCount += 1
      }
    }
  }

  /// Fetches the links of held blocks and then those of their neighbours, so that the misses overlap.
  private func warm(_ blocks: UnsafeBufferPointer<RequestBlock>) {
    for block in blocks where block.standing == .held { prefetch(links + Int(node(block.record))) }
    for block in blocks where block.standing == .held {
      let link = links[Int(node(block.record))]
      prefetch(links + Int(link.older))
      prefetch(links + Int(link.newer & 0x7FFF_FFFF))
    }
  }

  @inline(__always) private func node(_ record: RecordNumber) -> UInt32 {
    record.rawValue &+ LeastRecentlyUsed.firstNode
  }

  @inline(__always) private func record(_ node: UInt32) -> RecordNumber {
    RecordNumber(rawValue: node &- LeastRecentlyUsed.firstNode)
  }

  @inline(__always) private func isParked(_ node: UInt32) -> Bool { links[Int(node)].newer == .max }

  /// Takes a node out of the list, or out of parking; nothing if it is in neither.
  @inline(__always) private func detach(_ node: UInt32) {
    let link = links[Int(node)]
    if link.older != 0 {
      links[Int(link.older)].newer = link.newer
      links[Int(link.newer)].older = link.older
    } else if link.newer == .max {
      parkedCount -= 1
    }
    links[Int(node)] = Link(older: 0, newer: 0)
  }

  /// Puts a node that is nowhere into the list, on the older side of `next`.
  @inline(__always) private func attach(_ node: UInt32, olderThan next: UInt32) {
    let older = links[Int(next)].older
    links[Int(node)] = Link(older: older, newer: next)
    links[Int(older)].newer = node
    links[Int(next)].older = node
  }
}
