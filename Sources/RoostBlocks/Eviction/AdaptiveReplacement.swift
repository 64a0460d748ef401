import RoostPrimitives

/// ARC (Megiddo and Modha, FAST 2003): blocks seen once and blocks seen more often in a list each, and ghosts of both.
/// A hit in a list's ghosts shifts the share of the slots towards that list. Blocks of a request count tail first, so
/// that a head outlives its tail. Admits whatever fits.
public final class AdaptiveReplacement: EvictionPolicy {
  /// `arc`: a resident and a ghost a slot, and the blocks of one request.
  public static let factory = PolicyFactory(name: "arc", recordsPerSlot: 2, recordsPerRequest: 1 << 12) {
    recordCount throws(RoostError) in try AdaptiveReplacement(recordCount: recordCount)
  }

  // The names of the paper: T1, T2, B1, B2.
  private static let once = 1
  private static let often = 2
  private static let onceGhost = 3
  private static let oftenGhost = 4
  /// The request's residents and ghosts, between `decide` and `settle`: they cannot go.
  private static let ownResident = 5
  private static let ownGhost = 6
  /// Without a slot and to be dropped at the end of `settle`.
  private static let gone = 7

  private let queues: RecordQueues
  /// Slots that blocks seen once should have; p in the paper.
  private var onceShare = 0.0
  /// Newcomers of the request that will be in `once` and have no record yet.
  private var arriving = 0

  /// Makes empty lists for record numbers below `recordCount`.
  ///
  /// - Throws: `outOfResources` when there is not enough address space.
  public init(recordCount: Int) throws(RoostError) {
    queues = try RecordQueues(recordCount: recordCount, homeCount: 7)
  }

  /// True: ghosts are what it learns from.
  public var keepsGhosts: Bool { true }

  /// 12 bytes a record.
  public var reservedBytes: Int { queues.reservedBytes }

  /// Lets in what fits. Goes through the request tail first as through single accesses.
  public func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    let admitted = min(event.newcomerCount, event.admissionMax)
    for block in event.blocks where block.standing == .held {
      queues.append(block.record, to: AdaptiveReplacement.ownResident)
    }
    arriving = 0
    // Free slots go to the first that are looked at, the deepest; whoever is refused is deeper still.
    var refused = event.newcomerCount - admitted
    var free = event.freeSlotCount
    for block in event.blocks.reversed() where block.standing != .held {
      let ghost = block.standing == .ghost ? adapt(block.record, event.capacity) : false
      guard refused == 0 else {
        refused -= 1
        continue
      }
      let isNew = block.standing == .untracked
      if isNew { forgetForNewcomer(event.capacity) }
      if free > 0 { free -= 1 } else { replace(ghost, event.states, victims: &victims) }
      if isNew { arriving += 1 }
    }
    return admitted
  }

  /// What was known goes to the list of blocks seen more often, the others to that of blocks seen once, tail first.
  public func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    arriving = 0
    for block in event.blocks.reversed() where block.record != .none {
      let queue = queues.queue(of: block.record)
      if block.standing == .ghost {
        if queue == AdaptiveReplacement.ownGhost {
          queues.append(block.record, to: AdaptiveReplacement.oftenGhost)
        } else if queue == 0 {
          queues.append(block.record, to: AdaptiveReplacement.gone)
        }
      } else if queue == 0 || queue == AdaptiveReplacement.gone {
        // A ghost may have been given up for a deeper block of its own request.
        queues.append(block.record, to: AdaptiveReplacement.once)
      } else if queue == AdaptiveReplacement.ownResident || queue == AdaptiveReplacement.ownGhost {
        queues.append(block.record, to: AdaptiveReplacement.often)
      }
    }
    trimGhosts(event.capacity)
    while let record = queues.oldest(AdaptiveReplacement.gone) {
      queues.remove(record)
      dropped.append(record)
    }
  }

  /// Puts blocks that stood aside back at the old end.
  public func released(_ records: [RecordNumber]) {
    for record in records { queues.putBack(record) }
  }

  /// Forgets blocks.
  public func removed(_ records: [RecordNumber]) {
    for record in records { queues.remove(record) }
  }

  /// Takes blocks as seen once, in the order given.
  public func adopted(_ records: [RecordNumber]) {
    for record in records { queues.append(record, to: AdaptiveReplacement.once) }
  }

  /// What the next requests would evict.
  public func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    let wanted = victims.count + count
    while victims.count < wanted, replace(false, states, victims: &victims) {}
  }

  /// Empties all lists.
  public func reset() {
    queues.removeAll()
    onceShare = 0
  }

  /// The lists must be linked both ways; what is in the first two must be resident, the rest not.
  public func checkInvariants(_ states: BlockStates) -> [String] {
    queues.checkInvariants(states, residents: [AdaptiveReplacement.once, AdaptiveReplacement.often])
  }

  /// A ghost is asked for: the share moves by how much rarer its kind of ghost is. Whether it was seen more often.
  private func adapt(_ record: RecordNumber, _ capacity: Int) -> Bool {
    let queue = queues.queue(of: record)
    guard queue == AdaptiveReplacement.onceGhost || queue == AdaptiveReplacement.oftenGhost else { return false }
    let onceGhosts = Double(queues.count(AdaptiveReplacement.onceGhost))
    let oftenGhosts = Double(queues.count(AdaptiveReplacement.oftenGhost))
    let isOften = queue == AdaptiveReplacement.oftenGhost
    if isOften {
      onceShare = max(0, onceShare - max(1, onceGhosts / oftenGhosts))
    } else {
      onceShare = min(Double(capacity), onceShare + max(1, oftenGhosts / onceGhosts))
    }
    queues.append(record, to: AdaptiveReplacement.ownGhost)
    return isOften
  }

  /// Evicts one block, from the list that has more than its share. Returns whether there was one.
  @discardableResult private func replace(
    _ isOftenGhost: Bool, _ states: BlockStates, victims: inout [RecordNumber]
  ) -> Bool {
    let once = queues.count(AdaptiveReplacement.once) + arriving
    let exceeds = Double(once) > onceShare || isOftenGhost && once == Int(onceShare)
    let first = once > 0 && exceeds ? AdaptiveReplacement.once : AdaptiveReplacement.often
    let second = first == AdaptiveReplacement.once ? AdaptiveReplacement.often : AdaptiveReplacement.once
    for list in [first, second] {
      guard let record = queues.takeOldest(list, states) else { continue }
      let ghosts = list == AdaptiveReplacement.once ? AdaptiveReplacement.onceGhost : AdaptiveReplacement.oftenGhost
      queues.append(record, to: ghosts)
      victims.append(record)
      return true
    }
    return false
  }

  /// Keeps the ghosts within their bounds before a block that nobody knows arrives.
  private func forgetForNewcomer(_ capacity: Int) {
    let once = queues.count(AdaptiveReplacement.once) + arriving
    let often = queues.count(AdaptiveReplacement.often) + queues.count(AdaptiveReplacement.ownResident)
    let onceGhosts = queues.count(AdaptiveReplacement.onceGhost)
    if once + onceGhosts >= capacity {
      forget(AdaptiveReplacement.onceGhost)
    } else if once + often + onceGhosts + queues.count(AdaptiveReplacement.oftenGhost) >= 2 * capacity {
      forget(AdaptiveReplacement.oftenGhost)
    }
  }

  private func forget(_ ghosts: Int) {
    if let record = queues.oldest(ghosts) { queues.append(record, to: AdaptiveReplacement.gone) }
  }

  /// The bounds of the paper: T1 + B1 <= C and all together <= 2C.
  private func trimGhosts(_ capacity: Int) {
    let once = queues.count(AdaptiveReplacement.once)
    let residents = once + queues.count(AdaptiveReplacement.often)
    while queues.count(AdaptiveReplacement.onceGhost) > max(0, capacity - once) {
      forget(AdaptiveReplacement.onceGhost)
    }
    let ghostMax = max(0, 2 * capacity - residents)
    while queues.count(AdaptiveReplacement.onceGhost) + queues.count(AdaptiveReplacement.oftenGhost) > ghostMax {
      let list =
        queues.count(AdaptiveReplacement.oftenGhost) > 0
        ? AdaptiveReplacement.oftenGhost : AdaptiveReplacement.onceGhost
      forget(list)
    }
  }
}
