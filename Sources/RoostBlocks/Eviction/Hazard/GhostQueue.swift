import RoostPrimitives

/// The ghosts of the hazard index in two queues, each with its oldest touch first: full ones, and the few that stay of
/// old chains as landmarks.
///
/// Linked lists in order of touch: one link in the block, the other in an array of 4 bytes a record. Ghosts do not come
/// in that order, but nearly so: a refused block is the youngest of all, a block that was kept for long the oldest, and
/// any other one is evicted after the one behind it in its request, which stands beside it in the list of all blocks by
/// recency. So a place is found in a step or two there; a walk is as long as blocks in a row that are no ghosts.
struct GhostQueue: ~Copyable {
  private struct Ends {
    var first = HazardBlock.none
    var last = HazardBlock.none
    var count = 0
  }

  private let blocks: UnsafeMutablePointer<HazardBlock>
  /// The next younger ghost of the same queue; the next older one is the block's `parentOrOlder`.
  private let younger: ReservedArray<UInt32>
  private var full = Ends()
  private var thin = Ends()

  /// Makes empty queues for the given blocks, which must outlive them.
  init(blocks: UnsafeMutablePointer<HazardBlock>, count: Int) throws(RoostError) {
    self.blocks = blocks
    younger = try ReservedArray(count: count)
  }

  var reservedBytes: Int { younger.reservedBytes }
  var fullCount: Int { full.count }
  var count: Int { full.count + thin.count }

  /// The oldest full ghost, or the oldest landmark.
  func oldest(thinned: Bool) -> UInt32? {
    let first = thinned ? thin.first : full.first
    return first == HazardBlock.none ? nil : first
  }

  /// Takes in a ghost that stands in the list by recency; its mark says which queue.
  mutating func push(_ number: UInt32) {
    var ends = blocks[Int(number)].isThinned ? thin : full
    insert(number, into: &ends)
    if blocks[Int(number)].isThinned { thin = ends } else { full = ends }
  }

  /// Takes a ghost out; before its mark or its number changes.
  mutating func remove(_ number: UInt32) {
    var ends = blocks[Int(number)].isThinned ? thin : full
    unlink(number, from: &ends)
    if blocks[Int(number)].isThinned { thin = ends } else { full = ends }
  }

  mutating func removeAll() {
    full = Ends()
    thin = Ends()
  }

  /// What is wrong, for tests: every ghost must stand in the queue of its kind, the oldest first, linked both ways.
  func checkInvariants() -> [String] { check(full, thinned: false) + check(thin, thinned: true) }

  private func check(_ ends: Ends, thinned: Bool) -> [String] {
    var problems: [String] = []
    var number = ends.first
    var previous = HazardBlock.none
    var count = 0
    while number != HazardBlock.none, count <= ends.count {
      let block = blocks[Int(number)]
      if block.state != .ghost || block.isThinned != thinned { problems.append("ghost \(number) is something else") }
      if block.parentOrOlder != previous { problems.append("ghost \(number) does not point back") }
      if previous != HazardBlock.none, blocks[Int(previous)].sequence >= block.sequence {
        problems.append("ghost \(number) is not younger than the one before")
      }
      previous = number
      number = younger.pointer[Int(number)]
      count += 1
    }
    if count != ends.count || ends.last != previous { problems.append("a queue of ghosts is broken") }
    return problems
  }

  private func insert(_ number: UInt32, into ends: inout Ends) {
    let sequence = blocks[Int(number)].sequence
    if ends.count == 0 || blocks[Int(ends.last)].sequence < sequence {
      link(number, between: ends.last, and: HazardBlock.none, of: &ends)
    } else if sequence < blocks[Int(ends.first)].sequence {
      link(number, between: HazardBlock.none, and: ends.first, of: &ends)
    } else {
      insertBetween(number, into: &ends)
    }
  }

  /// There are an older ghost and a younger one: looks for the nearest on both sides by turns.
  private func insertBetween(_ number: UInt32, into ends: inout Ends) {
    let thinned = blocks[Int(number)].isThinned
    var older = blocks[Int(number)].older
    var newer = blocks[Int(number)].newer
    while true {
      if older != HazardBlock.none {
        if isMember(older, thinned) {
          return link(number, between: older, and: younger.pointer[Int(older)], of: &ends)
        }
        older = blocks[Int(older)].older
      }
      if newer != HazardBlock.none {
        if isMember(newer, thinned) {
          return link(number, between: blocks[Int(newer)].parentOrOlder, and: newer, of: &ends)
        }
        newer = blocks[Int(newer)].newer
      }
    }
  }

  @inline(__always) private func isMember(_ number: UInt32, _ thinned: Bool) -> Bool {
    blocks[Int(number)].state == .ghost && blocks[Int(number)].isThinned == thinned
  }

  private func link(_ number: UInt32, between older: UInt32, and newer: UInt32, of ends: inout Ends) {
    blocks[Int(number)].parentOrOlder = older
    younger.pointer[Int(number)] = newer
    if older != HazardBlock.none { younger.pointer[Int(older)] = number } else { ends.first = number }
    if newer != HazardBlock.none { blocks[Int(newer)].parentOrOlder = number } else { ends.last = number }
    ends.count += 1
  }

  private func unlink(_ number: UInt32, from ends: inout Ends) {
    let (older, newer) = (blocks[Int(number)].parentOrOlder, younger.pointer[Int(number)])
    if older != HazardBlock.none { younger.pointer[Int(older)] = newer } else { ends.first = newer }
    if newer != HazardBlock.none { blocks[Int(newer)].parentOrOlder = older } else { ends.last = older }
    ends.count -= 1
  }
}
