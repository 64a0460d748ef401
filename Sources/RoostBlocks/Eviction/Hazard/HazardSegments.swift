import RoostPrimitives

/// The policy's lists over its blocks: for each class, side and age bin a queue, oldest first, and one list of all
/// tracked blocks by recency whose newest end is what LRU of the same size would hold. Every operation is O(1) a block.
///
/// Side 0 holds residents that may go; side 1 holds parked residents and ghosts, for counting and forgetting only.
struct HazardSegments: ~Copyable {
  /// One queue. The ends mean nothing while it is empty.
  struct Queue {
    var first: UInt32
    var last: UInt32
    var count: Int
    /// No block was touched later than this, as long as the queue is not empty.
    var youngest: Double
  }

  static let evictable = 0
  static let waiting = 1

  let blocks: UnsafeMutablePointer<HazardBlock>
  /// By bin: the age at which a block leaves it.
  let limits: UnsafePointer<Double>
  private let memory: ReservedArray<Queue>
  let queues: UnsafeMutablePointer<Queue>
  /// For each row and side a bit for every bin that is not empty.
  let filled: UnsafeMutablePointer<UInt64>
  /// For each row and side a time before which no first block of a queue outlives its bin.
  let due: UnsafeMutablePointer<Double>
  private(set) var oldest = HazardBlock.none
  private(set) var newest = HazardBlock.none
  /// The oldest block of the shadow, and how many are in it.
  private(set) var shadowEnd = HazardBlock.none
  private(set) var shadowCount = 0

  init(blocks: UnsafeMutablePointer<HazardBlock>, limits: UnsafePointer<Double>) throws(RoostError) {
    self.blocks = blocks
    self.limits = limits
    memory = try ReservedArray(count: 2 * HazardModel.classCount * HazardModel.binCount)
    queues = memory.pointer
    filled = .allocate(capacity: 2 * HazardModel.classCount)
    filled.initialize(repeating: 0, count: 2 * HazardModel.classCount)
    due = .allocate(capacity: 2 * HazardModel.classCount)
    due.initialize(repeating: .infinity, count: 2 * HazardModel.classCount)
  }

  deinit {
    filled.deallocate()
    due.deallocate()
  }

  mutating func removeAll() {
    memory.zero()
    filled.update(repeating: 0, count: 2 * HazardModel.classCount)
    due.update(repeating: .infinity, count: 2 * HazardModel.classCount)
    oldest = HazardBlock.none
    newest = HazardBlock.none
    shadowEnd = HazardBlock.none
    shadowCount = 0
  }

  // MARK: Segments

  /// The place of a row's side in `filled` and `due`.
  @inline(__always) static func part(_ row: Int, _ side: Int) -> Int { 2 * row + side }

  /// A queue.
  @inline(__always) func queue(_ part: Int, _ bin: Int) -> UnsafeMutablePointer<Queue> {
    queues + (part * HazardModel.binCount + bin)
  }

  /// Blocks of a class in a bin, on both sides.
  @inline(__always) func waitingCount(_ row: Int, _ bin: Int) -> Int {
    queue(HazardSegments.part(row, 0), bin).pointee.count + queue(HazardSegments.part(row, 1), bin).pointee.count
  }

  /// The block that has been longest in a queue that is not empty.
  @inline(__always) func first(_ row: Int, _ side: Int, _ bin: Int) -> UInt32 {
    queue(HazardSegments.part(row, side), bin).pointee.first
  }

  /// The bins of a class that are not empty.
  @inline(__always) func bins(_ row: Int, _ side: Int) -> UInt64 { filled[HazardSegments.part(row, side)] }

  /// Where a block stands: its state and marks say on which side.
  @inline(__always) private func part(of block: UnsafePointer<HazardBlock>) -> Int {
    let waits = block.pointee.state == .ghost || block.pointee.isParked
    return HazardSegments.part(
      Int(block.pointee.row), waits ? HazardSegments.waiting : HazardSegments.evictable)
  }

  /// A block became the first of its queue.
  @inline(__always) func noteFirst(_ number: UInt32, _ part: Int, _ bin: Int) {
    // Adding rounds, subtracting as the test of age does would not; so a little earlier.
    let time = (blocks[Int(number)].touched + limits[bin]) * (1 - 0x1p-50)
    if time < due[part] { due[part] = time }
  }

  /// Puts a block at the newest end of its class's bin.
  @inline(__always) func append(_ number: UInt32, bin: Int) {
    let block = blocks + Int(number)
    let part = part(of: block)
    let queue = queue(part, bin)
    block.pointee.bin = UInt8(truncatingIfNeeded: bin)
    block.pointee.next = HazardBlock.none
    let touched = block.pointee.touched
    if queue.pointee.count > 0 {
      let last = queue.pointee.last
      block.pointee.previous = last
      blocks[Int(last)].next = number
      if touched > queue.pointee.youngest { queue.pointee.youngest = touched }
    } else {
      block.pointee.previous = HazardBlock.none
      queue.pointee.first = number
      queue.pointee.youngest = touched
      filled[part] |= 1 << UInt64(bin)
      noteFirst(number, part, bin)
    }
    queue.pointee.last = number
    queue.pointee.count += 1
  }

  /// Puts a block that stood aside back at the oldest end, where it was.
  func prepend(_ number: UInt32) {
    let block = blocks + Int(number)
    let bin = Int(block.pointee.bin)
    let part = part(of: block)
    let queue = queue(part, bin)
    guard queue.pointee.count > 0 else { return append(number, bin: bin) }
    block.pointee.next = queue.pointee.first
    block.pointee.previous = HazardBlock.none
    blocks[Int(queue.pointee.first)].previous = number
    queue.pointee.first = number
    queue.pointee.count += 1
    queue.pointee.youngest = max(queue.pointee.youngest, block.pointee.touched)
    noteFirst(number, part, bin)
  }

  /// Takes a block out of its segment; before anything that decides its side changes.
  @inline(__always) func remove(_ number: UInt32) {
    let block = blocks + Int(number)
    let bin = Int(block.pointee.bin)
    let part = part(of: block)
    let queue = queue(part, bin)
    let (previous, next) = (block.pointee.previous, block.pointee.next)
    queue.pointee.count -= 1
    if next == HazardBlock.none { queue.pointee.last = previous } else { blocks[Int(next)].previous = previous }
    if previous != HazardBlock.none {
      blocks[Int(previous)].next = next
    } else if next != HazardBlock.none {
      queue.pointee.first = next
      noteFirst(next, part, bin)
    } else {
      filled[part] &= ~(1 << UInt64(bin))
    }
  }

  // MARK: Recency

  /// Puts a block that is in no recency list at the newest end, into the shadow.
  @inline(__always) mutating func appendRecent(_ number: UInt32) {
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
  @inline(__always) mutating func removeRecent(_ number: UInt32) {
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
