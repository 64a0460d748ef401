import RoostPrimitives

/// The policy's lists over its blocks: for each side, class and age bin a queue, oldest first, and one list of all
/// tracked blocks by recency whose newest end is what LRU of the same size would hold. Every operation is O(1).
///
/// Side 0 holds residents that may go; side 1 holds parked residents and ghosts, for counting and forgetting only.
struct HazardSegments: ~Copyable {
  /// One queue.
  struct Queue {
    var first = HazardBlock.none
    var last = HazardBlock.none
    var count = 0
  }

  static let evictable = 0
  static let waiting = 1

  let blocks: UnsafeMutablePointer<HazardBlock>
  private let queues: UnsafeMutablePointer<Queue>
  /// For each side and class a bit for every bin that is not empty.
  private let filled: UnsafeMutablePointer<UInt64>
  private(set) var oldest = HazardBlock.none
  private(set) var newest = HazardBlock.none
  /// The oldest block of the shadow, and how many are in it.
  private(set) var shadowEnd = HazardBlock.none
  private(set) var shadowCount = 0

  init(blocks: UnsafeMutablePointer<HazardBlock>) {
    self.blocks = blocks
    queues = .allocate(capacity: 2 * HazardModel.cellCount)
    queues.initialize(repeating: Queue(), count: 2 * HazardModel.cellCount)
    filled = .allocate(capacity: 2 * HazardModel.classCount)
    filled.initialize(repeating: 0, count: 2 * HazardModel.classCount)
  }

  deinit {
    queues.deallocate()
    filled.deallocate()
  }

  mutating func removeAll() {
    queues.update(repeating: Queue(), count: 2 * HazardModel.cellCount)
    filled.update(repeating: 0, count: 2 * HazardModel.classCount)
    oldest = HazardBlock.none
    newest = HazardBlock.none
    shadowEnd = HazardBlock.none
    shadowCount = 0
  }

  // MARK: Segments

  static func cell(_ hazardClass: Int, _ bin: Int) -> Int { hazardClass * HazardModel.binCount + bin }

  func queue(_ side: Int, _ cell: Int) -> Queue { queues[side * HazardModel.cellCount + cell] }

  /// The bins of a class that are not empty.
  func bins(_ side: Int, _ hazardClass: Int) -> UInt64 { filled[side * HazardModel.classCount + hazardClass] }

  private func side(of block: UnsafePointer<HazardBlock>) -> Int {
    block.pointee.state == .ghost || block.pointee.isParked ? HazardSegments.waiting : HazardSegments.evictable
  }

  /// Puts a block at the newest end of its class's bin; its state and marks say on which side.
  func append(_ number: UInt32, bin: Int) {
    let block = blocks + Int(number)
    let side = side(of: block)
    let hazardClass = Int(block.pointee.hazardClass)
    let queue = queues + side * HazardModel.cellCount + HazardSegments.cell(hazardClass, bin)
    block.pointee.bin = UInt8(bin)
    block.pointee.previous = queue.pointee.last
    block.pointee.next = HazardBlock.none
    if queue.pointee.last != HazardBlock.none {
      blocks[Int(queue.pointee.last)].next = number
    } else {
      queue.pointee.first = number
    }
    queue.pointee.last = number
    queue.pointee.count += 1
    filled[side * HazardModel.classCount + hazardClass] |= 1 << UInt64(bin)
  }

  /// Puts a block that stood aside back at the oldest end, where it was.
  func prepend(_ number: UInt32) {
    let block = blocks + Int(number)
    let side = side(of: block)
    let hazardClass = Int(block.pointee.hazardClass)
    let bin = Int(block.pointee.bin)
    let queue = queues + side * HazardModel.cellCount + HazardSegments.cell(hazardClass, bin)
    block.pointee.next = queue.pointee.first
    block.pointee.previous = HazardBlock.none
    if queue.pointee.first != HazardBlock.none {
      blocks[Int(queue.pointee.first)].previous = number
    } else {
      queue.pointee.last = number
    }
    queue.pointee.first = number
    queue.pointee.count += 1
    filled[side * HazardModel.classCount + hazardClass] |= 1 << UInt64(bin)
  }

  /// Takes a block out of its segment; before anything that decides its side changes.
  func remove(_ number: UInt32) {
    let block = blocks + Int(number)
    let side = side(of: block)
    let hazardClass = Int(block.pointee.hazardClass)
    let bin = Int(block.pointee.bin)
    let queue = queues + side * HazardModel.cellCount + HazardSegments.cell(hazardClass, bin)
    let (previous, next) = (block.pointee.previous, block.pointee.next)
    if previous != HazardBlock.none { blocks[Int(previous)].next = next } else { queue.pointee.first = next }
    if next != HazardBlock.none { blocks[Int(next)].previous = previous } else { queue.pointee.last = previous }
    queue.pointee.count -= 1
    if queue.pointee.count == 0 { filled[side * HazardModel.classCount + hazardClass] &= ~(1 << UInt64(bin)) }
  }

  // MARK: Recency

  /// Puts a block that is in no recency list at the newest end, into the shadow.
  mutating func appendRecent(_ number: UInt32) {
    let block = blocks + Int(number)
    block.pointee.older = newest
    block.pointee.newer = HazardBlock.none
    if newest != HazardBlock.none { blocks[Int(newest)].newer = number } else { oldest = number }
    newest = number
    block.pointee.isInShadow = true
    shadowCount += 1
    if shadowEnd == HazardBlock.none { shadowEnd = number }
  }

  /// Takes a block out of the recency list.
  mutating func removeRecent(_ number: UInt32) {
    let block = blocks + Int(number)
    let (older, newer) = (block.pointee.older, block.pointee.newer)
    if number == shadowEnd { shadowEnd = newer }
    if block.pointee.isInShadow {
      block.pointee.isInShadow = false
      shadowCount -= 1
    }
    if older != HazardBlock.none { blocks[Int(older)].newer = newer } else { oldest = newer }
    if newer != HazardBlock.none { blocks[Int(newer)].older = older } else { newest = older }
  }

  /// Leaves the `count` newest blocks in the shadow.
  mutating func trimShadow(to count: Int) {
    while shadowCount > count {
      blocks[Int(shadowEnd)].isInShadow = false
      shadowEnd = blocks[Int(shadowEnd)].newer
      shadowCount -= 1
    }
  }
}
