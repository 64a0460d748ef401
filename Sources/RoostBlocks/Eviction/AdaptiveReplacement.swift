import RoostPrimitives

/// ARC (Megiddo and Modha, FAST 2003): two lists by recency, blocks used once (T1) and blocks used again (T2), and for
/// each a list of ghosts (B1, B2) as long as what it lacks. A ghost that comes back says which list is too short; the
/// target for T1 follows. Admits whatever fits.
///
/// A request counts its blocks from tail to head, one after the other, as the textbook would. There a block may displace
/// another one of the same request: a newcomer that is displaced is refused, and a block that is there and would be
/// displaced before its turn counts as a ghost that comes back, but is never a victim. Time: O(1) a block.
public final class AdaptiveReplacement: EvictionPolicy {
  /// `arc`: a resident and a ghost a slot.
  public static let factory = PolicyFactory(name: "arc", recordsPerSlot: 2) {
    recordCount throws(RoostError) in try AdaptiveReplacement(recordCount: recordCount)
  }

  /// Where a record is.
  enum List {
    static let once = 1
    static let again = 2
    static let onceGhosts = 3
    static let againGhosts = 4
    /// To be dropped.
    static let gone = 5
    // Blocks of the request that is being decided. Counted, and held:
    static let counted = 6
    // Not counted yet and held, but the textbook would have evicted them for the blocks behind them:
    static let lostOnce = 7
    static let lostAgain = 8
    // Counted, and ghosts before:
    static let backOnce = 9
    static let backAgain = 10
    // Not counted yet and a ghost, but the textbook would have forgotten it:
    static let forgotten = 11
  }

  let queues: RecordQueues
  /// The length that T1 should have.
  var target = 0.0
  /// The lists' lengths while a request is being counted.
  var sizes = Sizes()

  /// Lengths of the lists as the textbook would have them, the request's newcomers included.
  struct Sizes {
    var once = 0
    var again = 0
    var onceGhosts = 0
    var againGhosts = 0
    /// Newcomers among the first ones, and those that younger newcomers have displaced.
    var arrived = 0
    var refused = 0
    var all: Int { once + again + onceGhosts + againGhosts }
  }

  /// Makes empty lists for record numbers below `recordCount`.
  ///
  /// - Throws: `outOfResources` when there is not enough address space.
  public init(recordCount: Int) throws(RoostError) {
    queues = try RecordQueues(recordCount: recordCount, homeCount: 11)
  }

  /// True: ghosts say which list is too short.
  public var keepsGhosts: Bool { true }

  /// 12 bytes a record.
  public var reservedBytes: Int { queues.reservedBytes }

  /// Counts the request's blocks, lets in what the textbook would still hold at the end, and evicts for it.
  public func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    measure()
    for block in event.blocks where block.record != .none { queues.mark(block.record, isOwn: true) }
    var room = event.freeSlotCount
    let end = countedEnd(event)
    for (position, block) in event.blocks.enumerated().reversed() {
      if block.standing == .held {
        countHeld(block.record, event, &victims)
      } else if position < end {
        countNewcomer(block.record, event, &room, &victims)
      }
    }
    return min(reachable(event), event.admissionMax)
  }

  /// The position behind the last newcomer that counts: the last one that can be let in, or of a request longer than
  /// the pool the last one of all, because in the textbook it displaces others and is displaced.
  private func countedEnd(_ event: RequestEvent) -> Int {
    guard event.admissionMax > 0 else { return 0 }
    if event.blocks.count > event.capacity { return event.blocks.count }
    var left = event.admissionMax
    for position in event.blocks.indices where event.blocks[position].standing != .held {
      if left == 0 { return position }
      left -= 1
    }
    return event.blocks.count
  }

  /// How many of the request's newcomers are still there at the end, up to the first one that is not: what lies behind
  /// that is of no use.
  private func reachable(_ event: RequestEvent) -> Int {
    var left = sizes.arrived
    var count = 0
    for block in event.blocks where block.standing != .held {
      let list = block.record == .none ? 0 : queues.queue(of: block.record)
      if list != List.backOnce, list != List.backAgain {
        if left == 0 { break }
        left -= 1
      }
      count += 1
    }
    return count
  }

  /// Gives up the ghosts that are beyond the lists' lengths.
  public func makeRecords(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    drop(from: List.gone, downTo: 0, dropped: &dropped)
  }

  /// Puts the request's blocks where they belong, tail first.
  public func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    for block in event.blocks where block.record != .none {
      queues.mark(block.record, isOwn: false)
      queues.putBack(block.record)
    }
    for block in event.blocks.reversed() where block.record != .none {
      let list = queues.queue(of: block.record)
      switch (block.standing, list) {
      case (.untracked, _): break
      case (.ghost, List.backAgain): queues.append(block.record, to: List.againGhosts)
      case (.ghost, 0), (.ghost, List.backOnce), (.ghost, List.forgotten):
        queues.append(block.record, to: List.onceGhosts)
      case (.ghost, _): break
      case (.held, 0), (.admitted, 0), (.admitted, List.forgotten): queues.append(block.record, to: List.once)
      // A block that stands in the request twice.
      case (.admitted, List.once): break
      case (.held, _), (.admitted, _): queues.append(block.record, to: List.again)
      }
    }
    trim(event.capacity, dropped: &dropped)
  }

  /// Puts blocks that stood aside back at the old end.
  public func released(_ records: [RecordNumber]) {
    for record in records { queues.putBack(record) }
  }

  /// Forgets blocks.
  public func removed(_ records: [RecordNumber]) {
    for record in records { queues.remove(record) }
  }

  /// Takes blocks in as used once, in the order given.
  public func adopted(_ records: [RecordNumber]) {
    for record in records { queues.append(record, to: List.once) }
  }

  /// What the next requests would evict.
  public func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    measure()
    for _ in 0..<count {
      guard replace(isAgainGhost: false, states, &victims) else { return }
    }
  }

  /// Empties all lists.
  public func reset() {
    queues.removeAll()
    target = 0
  }

  /// The lists must be linked both ways; what is in T1 and T2 must be resident, the rest not.
  public func checkInvariants(_ states: BlockStates) -> [String] {
    queues.checkInvariants(states, residents: [List.once, List.again])
  }

  private func measure() {
    sizes = Sizes()
    sizes.once = queues.count(List.once)
    sizes.again = queues.count(List.again)
    sizes.onceGhosts = queues.count(List.onceGhosts)
    sizes.againGhosts = queues.count(List.againGhosts)
  }

  /// Keeps the bounds.
  private func trim(_ capacity: Int, dropped: inout [RecordNumber]) {
    measure()
    drop(from: List.onceGhosts, downTo: max(0, capacity - sizes.once), dropped: &dropped)
    measure()
    let againGhosts = max(0, 2 * capacity - sizes.once - sizes.again - sizes.onceGhosts)
    drop(from: List.againGhosts, downTo: againGhosts, dropped: &dropped)
  }

  private func drop(from list: Int, downTo count: Int, dropped: inout [RecordNumber]) {
    while queues.count(list) > count, let ghost = queues.oldest(list) {
      queues.remove(ghost)
      dropped.append(ghost)
    }
  }
}
