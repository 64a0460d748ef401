import RoostPrimitives

/// S3-FIFO (Yang and others, SOSP 2023): three queues. A newcomer enters the small queue, a tenth of the slots; there
/// it is evicted unless it was used twice, then it moves on to the main queue. That gives every block another round for
/// each use, three at the most. A ghost queue as long as the main one lets blocks that come back soon enter the main
/// queue at once. Admits whatever fits.
public final class SmallMainGhost: EvictionPolicy {
  /// `s3fifo`: a resident and a ghost a slot, and the blocks of one request.
  public static let factory = PolicyFactory(name: "s3fifo", recordsPerSlot: 2, recordsPerRequest: 1 << 12) {
    recordCount throws(RoostError) in try SmallMainGhost(recordCount: recordCount)
  }

  private static let small = 1
  private static let main = 2
  private static let ghost = 3
  /// Refused blocks, between the beginning and the end of `settle`.
  private static let gone = 4
  /// Uses that count.
  private static let touchesMax: UInt8 = 3
  /// Uses in the small queue after which a block moves on.
  private static let promotion: UInt8 = 2

  private let queues: RecordQueues

  /// Makes empty queues for record numbers below `recordCount`.
  ///
  /// - Throws: `outOfResources` when there is not enough address space.
  public init(recordCount: Int) throws(RoostError) {
    queues = try RecordQueues(recordCount: recordCount, homeCount: 4)
  }

  /// True: a block that comes back soon is recognised.
  public var keepsGhosts: Bool { true }

  /// 12 bytes a record.
  public var reservedBytes: Int { queues.reservedBytes }

  /// Counts the uses, lets in what fits, and evicts for it.
  public func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    for block in event.blocks where block.standing == .held {
      queues.mark(block.record, isOwn: true)
      queues.setTouches(min(queues.touches(of: block.record) + 1, SmallMainGhost.touchesMax), of: block.record)
    }
    let admitted = min(event.newcomerCount, event.admissionMax)
    take(admitted - event.freeSlotCount, event.capacity, event.states, victims: &victims)
    return admitted
  }

  /// Newcomers enter, tail first: former ghosts the main queue, others the small one.
  public func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    for block in event.blocks where block.record != .none {
      queues.mark(block.record, isOwn: false)
      queues.putBack(block.record)
    }
    for block in event.blocks.reversed() where block.record != .none {
      let queue = queues.queue(of: block.record)
      if block.standing == .ghost {
        if queue == 0 { queues.append(block.record, to: SmallMainGhost.gone) }
      } else if queue == 0 || queue == SmallMainGhost.ghost {
        queues.setTouches(0, of: block.record)
        queues.append(block.record, to: queue == 0 ? SmallMainGhost.small : SmallMainGhost.main)
      }
    }
    drop(SmallMainGhost.gone, downTo: 0, dropped: &dropped)
    drop(SmallMainGhost.ghost, downTo: event.capacity - event.capacity / 10, dropped: &dropped)
  }

  /// Puts blocks that stood aside back at the old end.
  public func released(_ records: [RecordNumber]) {
    for record in records { queues.putBack(record) }
  }

  /// Forgets blocks.
  public func removed(_ records: [RecordNumber]) {
    for record in records { queues.remove(record) }
  }

  /// Puts blocks into the small queue, in the order given.
  public func adopted(_ records: [RecordNumber]) {
    for record in records {
      queues.setTouches(0, of: record)
      queues.append(record, to: SmallMainGhost.small)
    }
  }

  /// What the next requests would evict.
  public func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    let residents = queues.count(SmallMainGhost.small) + queues.count(SmallMainGhost.main)
    take(count, residents, states, victims: &victims)
  }

  /// Empties all queues.
  public func reset() { queues.removeAll() }

  /// The queues must be linked both ways; what is in the first two must be resident, the rest not.
  public func checkInvariants(_ states: BlockStates) -> [String] {
    queues.checkInvariants(states, residents: [SmallMainGhost.small, SmallMainGhost.main])
  }

  private func take(_ count: Int, _ capacity: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    var missing = count
    var smallIsEmpty = false
    var mainIsEmpty = false
    while missing > 0, !smallIsEmpty || !mainIsEmpty {
      let prefersSmall = queues.count(SmallMainGhost.small) > capacity / 10
      if !smallIsEmpty, prefersSmall || mainIsEmpty {
        if let record = queues.takeOldest(SmallMainGhost.small, states) {
          leaveSmall(record, &missing, &victims)
          // A block has moved there.
          mainIsEmpty = false
        } else {
          smallIsEmpty = true
        }
      } else if let record = queues.takeOldest(SmallMainGhost.main, states) {
        leaveMain(record, &missing, &victims)
      } else {
        mainIsEmpty = true
      }
    }
  }

  private func leaveSmall(_ record: RecordNumber, _ missing: inout Int, _ victims: inout [RecordNumber]) {
    if queues.touches(of: record) >= SmallMainGhost.promotion {
      queues.setTouches(0, of: record)
      queues.append(record, to: SmallMainGhost.main)
    } else {
      queues.append(record, to: SmallMainGhost.ghost)
      victims.append(record)
      missing -= 1
    }
  }

  private func leaveMain(_ record: RecordNumber, _ missing: inout Int, _ victims: inout [RecordNumber]) {
    let touches = queues.touches(of: record)
    if touches > 0 {
      queues.setTouches(touches - 1, of: record)
      queues.append(record, to: SmallMainGhost.main)
    } else {
      victims.append(record)
      missing -= 1
      // Not a ghost of the algorithm, but the table keeps it until the end of a request.
      queues.append(record, to: SmallMainGhost.gone)
    }
  }

  private func drop(_ queue: Int, downTo count: Int, dropped: inout [RecordNumber]) {
    while queues.count(queue) > max(0, count), let record = queues.oldest(queue) {
      queues.remove(record)
      dropped.append(record)
    }
  }
}
