import RoostPrimitives

/// The ghosts of the hazard index in two queues, each with its oldest touch first: full ones, and the few that stay of
/// old chains as landmarks.
///
/// Two heaps in one array of 4 bytes a record, which grow towards each other; a ghost knows its place, so one that is
/// touched again leaves at once and no stale entry is ever met. Four children a node: half the levels, and the four
/// are asked for together. O(log n) each; a ghost that is younger than all others, as refused blocks are, enters in
/// O(1).
struct GhostQueue: ~Copyable {
  private let blocks: UnsafeMutablePointer<HazardBlock>
  private let places: ReservedArray<UInt32>
  private(set) var fullCount = 0
  private(set) var thinCount = 0

  private static let arity = 4

  /// Makes empty queues for the given blocks, which must outlive them.
  init(blocks: UnsafeMutablePointer<HazardBlock>, count: Int) throws(RoostError) {
    self.blocks = blocks
    places = try ReservedArray(count: count)
  }

  var reservedBytes: Int { places.reservedBytes }
  var count: Int { fullCount + thinCount }

  /// The oldest full ghost, or the oldest landmark.
  func oldest(thinned: Bool) -> UInt32? {
    (thinned ? thinCount : fullCount) > 0 ? place(0, thinned).pointee : nil
  }

  /// Takes in a ghost; its mark says which queue.
  mutating func push(_ number: UInt32) {
    let thinned = blocks[Int(number)].isThinned
    let end = thinned ? thinCount : fullCount
    setCount(end + 1, thinned)
    rise(number, from: end, thinned)
  }

  /// Takes a ghost out; before its mark or its number changes.
  mutating func remove(_ number: UInt32) {
    let thinned = blocks[Int(number)].isThinned
    let hole = Int(blocks[Int(number)].parentOrPlace)
    let end = (thinned ? thinCount : fullCount) - 1
    setCount(end, thinned)
    guard hole != end else { return }
    let last = place(end, thinned).pointee
    if blocks[Int(last)].sequence < blocks[Int(number)].sequence {
      rise(last, from: hole, thinned)
    } else {
      sink(last, from: hole, end, thinned)
    }
  }

  mutating func removeAll() {
    fullCount = 0
    thinCount = 0
  }

  /// What is wrong, for tests: every ghost must stand where it says, below no younger one.
  func checkInvariants() -> [String] {
    var problems: [String] = []
    for thinned in [false, true] {
      for index in 0..<(thinned ? thinCount : fullCount) {
        let number = place(index, thinned).pointee
        let block = blocks[Int(number)]
        if block.state != .ghost || block.isThinned != thinned || Int(block.parentOrPlace) != index {
          problems.append("ghost \(number) is not what its place \(index) says")
        }
        let parent = place((index - 1) / GhostQueue.arity, thinned).pointee
        if blocks[Int(parent)].sequence > block.sequence { problems.append("ghost \(number) is above an older one") }
      }
    }
    return problems
  }

  @inline(__always) private func place(_ index: Int, _ thinned: Bool) -> UnsafeMutablePointer<UInt32> {
    places.pointer + (thinned ? places.count - 1 - index : index)
  }

  private mutating func setCount(_ count: Int, _ thinned: Bool) {
    if thinned { thinCount = count } else { fullCount = count }
  }

  @inline(__always) private func put(_ number: UInt32, at index: Int, _ thinned: Bool) {
    place(index, thinned).pointee = number
    blocks[Int(number)].parentOrPlace = UInt32(index)
  }

  private func rise(_ number: UInt32, from start: Int, _ thinned: Bool) {
    let sequence = blocks[Int(number)].sequence
    var hole = start
    while hole > 0 {
      let above = (hole - 1) / GhostQueue.arity
      let other = place(above, thinned).pointee
      if blocks[Int(other)].sequence <= sequence { break }
      put(other, at: hole, thinned)
      hole = above
    }
    put(number, at: hole, thinned)
  }

  private func sink(_ number: UInt32, from start: Int, _ count: Int, _ thinned: Bool) {
    let sequence = blocks[Int(number)].sequence
    var hole = start
    while true {
      let first = hole * GhostQueue.arity + 1
      guard first < count else { break }
      var oldest = first
      var least = blocks[Int(place(first, thinned).pointee)].sequence
      for child in first + 1..<max(first + 1, min(first + GhostQueue.arity, count)) {
        let other = blocks[Int(place(child, thinned).pointee)].sequence
        if other < least { (oldest, least) = (child, other) }
      }
      if sequence <= least { break }
      put(place(oldest, thinned).pointee, at: hole, thinned)
      hole = oldest
    }
    put(number, at: hole, thinned)
  }
}
