import RoostPrimitives

/// Evicts the block that was stored longest ago, used or not; of one request the tail goes first. The simplest policy
/// that can be right: a yardstick, and a pattern for new ones.
public final class FirstInFirstOut: EvictionPolicy {
  /// `fifo`: one record a slot.
  public static let factory = PolicyFactory(name: "fifo", recordsPerSlot: 1) {
    recordCount throws(RoostError) in try FirstInFirstOut(recordCount: recordCount)
  }

  private static let stored = 1

  private let queues: RecordQueues

  /// Makes an empty queue for record numbers below `recordCount`.
  ///
  /// - Throws: `outOfResources` when there is not enough address space.
  public init(recordCount: Int) throws(RoostError) {
    queues = try RecordQueues(recordCount: recordCount, homeCount: 1)
  }

  /// False: a block without a slot is forgotten.
  public var keepsGhosts: Bool { false }

  /// 12 bytes a record.
  public var reservedBytes: Int { queues.reservedBytes }

  /// Lets in what fits, and evicts the oldest for it.
  public func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    for block in event.blocks where block.standing == .held { queues.mark(block.record, isOwn: true) }
    let admitted = min(event.newcomerCount, event.admissionMax)
    evict(admitted - event.freeSlotCount, event.states, victims: &victims)
    return admitted
  }

  /// Puts the newcomers at the new end, tail first; what is there stays where it is.
  public func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    for block in event.blocks where block.record != .none {
      queues.mark(block.record, isOwn: false)
      queues.putBack(block.record)
    }
    for block in event.blocks.reversed() where block.record != .none && queues.queue(of: block.record) == 0 {
      queues.append(block.record, to: FirstInFirstOut.stored)
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

  /// Puts blocks at the new end, in the order given.
  public func adopted(_ records: [RecordNumber]) {
    for record in records { queues.append(record, to: FirstInFirstOut.stored) }
  }

  /// The oldest blocks that nobody holds.
  public func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    var missing = count
    while missing > 0, let record = queues.takeOldest(FirstInFirstOut.stored, states) {
      victims.append(record)
      missing -= 1
    }
  }

  /// Empties the queue.
  public func reset() { queues.removeAll() }

  /// The queue must be linked both ways, and all in it resident.
  public func checkInvariants(_ states: BlockStates) -> [String] {
    queues.checkInvariants(states, residents: [FirstInFirstOut.stored])
  }
}
