import RoostPrimitives

extension HazardIndex {
  /// Evicts or refuses until the rest fits. Returns how many of the request's newcomers are let in.
  func makeRoom(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    let newcomerCount = (0..<plan.length).count { event.blocks[$0].standing != .held }
    // What leases and running copies hold cannot be counted on: the table says how many fit at the most.
    var accepted = min(newcomerCount, event.admissionMax)
    var excess = accepted - event.freeSlotCount
    guard excess > 0 else { return accepted }
    var deepest = newcomer(before: plan.length, event)
    for _ in accepted..<newcomerCount { deepest = newcomer(before: deepest, event) }
    takeVictims(&excess, event.states, victims: &victims) { threshold in
      guard accepted > 0 else { return false }
      let cell = HazardSegments.cell(self.hazardClass(deepest), 0)
      guard HazardIndex.admissionFactor * self.model.index[cell] < threshold else { return false }
      accepted -= 1
      deepest = self.newcomer(before: deepest, event)
      return true
    }
    // Everything else is part of the request, or held: refuse its tail.
    return max(0, accepted - max(0, excess))
  }

  /// The position of the last newcomer before a position, or -1.
  private func newcomer(before position: Int, _ event: RequestEvent) -> Int {
    var position = position - 1
    while position >= 0, event.blocks[position].standing == .held { position -= 1 }
    return position
  }

  /// Takes victims until `excess` is 0 or nothing is left: freed parents, then segments by index. `refuses` is asked
  /// before each victim whether a newcomer shall rather stay out, given the victim's index.
  func takeVictims(
    _ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber], refuses: (Double) -> Bool
  ) {
    drainFreed(&excess, states, victims: &victims)
    guard excess > 0 else { return }
    ageSegments(HazardSegments.evictable)
    if guardState.actsAsLRU {
      takeOldest(&excess, states, victims: &victims)
    } else {
      takeLowest(&excess, states, victims: &victims, refuses: refuses)
    }
    takeParked(&excess, states, victims: &victims)
  }

  /// By index, lowest first.
  private func takeLowest(
    _ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber], refuses: (Double) -> Bool
  ) {
    sortCandidates()
    var next = 0
    while excess > 0, next < candidates.count {
      let candidate = candidates[next]
      let cell = HazardSegments.cell(candidate.hazardClass, candidate.bin)
      let oldest = segments.queue(HazardSegments.evictable, cell).first
      guard oldest != HazardBlock.none else {
        next += 1
        continue
      }
      if refuses(candidate.index) {
        excess -= 1
        continue
      }
      takeOne(oldest, &excess, states, victims: &victims)
    }
  }

  /// The non-empty segments, lowest index first, then older ages, then class.
  private func sortCandidates() {
    candidates.removeAll(keepingCapacity: true)
    for hazardClass in model.active {
      var bins = segments.bins(HazardSegments.evictable, hazardClass)
      while bins != 0 {
        let bin = bins.trailingZeroBitCount
        bins &= bins - 1
        let index = model.index[HazardSegments.cell(hazardClass, bin)]
        candidates.append(Candidate(index: index, bin: bin, hazardClass: hazardClass))
      }
    }
    candidates.sort { left, right in
      if left.index != right.index { return left.index < right.index }
      return left.bin != right.bin ? left.bin > right.bin : left.hazardClass < right.hazardClass
    }
  }

  /// The last resort: parents whose children are all held, or whose links make no sense because a request repeats a
  /// block. Reads every block that waits, so only when nothing else is left and the table promised that there is more.
  private func takeParked(_ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    guard excess > 0 else { return }
    for hazardClass in model.active {
      var bins = segments.bins(HazardSegments.waiting, hazardClass)
      while bins != 0, excess > 0 {
        let cell = HazardSegments.cell(hazardClass, bins.trailingZeroBitCount)
        bins &= bins - 1
        var number = segments.queue(HazardSegments.waiting, cell).first
        while number != HazardBlock.none, excess > 0 {
          let following = blocks[Int(number)].next
          if blocks[Int(number)].state == .resident, mayGo(number, states) {
            segments.remove(number)
            evict(number, victims: &victims)
            excess -= 1
          }
          number = following
        }
      }
    }
  }

  /// Whether nobody holds a block and it is none of the request's.
  private func mayGo(_ number: UInt32, _ states: BlockStates) -> Bool {
    states.isEvictable(RecordNumber(rawValue: number)) && !plan.excess.contains(number)
  }

  /// Exact LRU: merges the class lists by their touch numbers.
  private func takeOldest(_ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    var heads = GhostHeap()
    func push(_ hazardClass: Int) {
      let bins = segments.bins(HazardSegments.evictable, hazardClass)
      guard bins != 0 else { return }
      let cell = HazardSegments.cell(hazardClass, 63 - bins.leadingZeroBitCount)
      let first = segments.queue(HazardSegments.evictable, cell).first
      heads.push(GhostHeap.Entry(sequence: blocks[Int(first)].sequence, block: first))
    }
    for hazardClass in model.active { push(hazardClass) }
    while excess > 0, let head = heads.pop() {
      let hazardClass = Int(blocks[Int(head.block)].hazardClass)
      takeOne(head.block, &excess, states, victims: &victims)
      push(hazardClass)
    }
  }

  /// The oldest block of a segment goes: to be evicted, to be parked while it has children, or aside while it is held.
  private func takeOne(
    _ number: UInt32, _ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber]
  ) {
    let block = blocks + Int(number)
    segments.remove(number)
    if !mayGo(number, states) {
      block.pointee.isAside = true
    } else if block.pointee.childCount > 0 {
      block.pointee.isParked = true
      segments.append(number, bin: Int(block.pointee.bin))
    } else {
      evict(number, victims: &victims)
      excess -= 1
      drainFreed(&excess, states, victims: &victims)
    }
  }

  /// Parked parents that became leaves go first: they had the lowest index when they were parked.
  private func drainFreed(_ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    while excess > 0, let number = freed.popLast() {
      let block = blocks + Int(number)
      guard block.pointee.state == .resident, block.pointee.isParked, !block.pointee.isAside,
        block.pointee.childCount == 0, mayGo(number, states)
      else { continue }
      segments.remove(number)
      evict(number, victims: &victims)
      excess -= 1
    }
  }

  /// A resident that is in no segment becomes a ghost.
  private func evict(_ number: UInt32, victims: inout [RecordNumber]) {
    victims.append(RecordNumber(rawValue: number))
    residentCount -= 1
    unlinkParent(number)
    becomeGhost(number)
  }

  private func unlinkParent(_ number: UInt32) {
    let parent = blocks[Int(number)].parent
    blocks[Int(number)].parent = HazardBlock.none
    // A parent that is a ghost still counts: it may come back before its child goes.
    guard parent != HazardBlock.none, blocks[Int(parent)].life == blocks[Int(number)].parentLife,
      blocks[Int(parent)].childCount > 0
    else { return }
    blocks[Int(parent)].childCount -= 1
    if blocks[Int(parent)].childCount == 0, blocks[Int(parent)].isParked { freed.append(parent) }
  }

  /// A block that is in no segment goes on as a ghost, in its bin.
  func becomeGhost(_ number: UInt32) {
    let block = blocks + Int(number)
    block.pointee.state = .ghost
    block.pointee.isParked = false
    ghostCount += 1
    fullGhosts.push(GhostHeap.Entry(sequence: block.pointee.sequence, block: number))
    segments.append(number, bin: Int(block.pointee.bin))
  }

  /// Gives up the oldest ghosts: all but `capacity` full ones and as many landmarks. Of an old chain about
  /// log2(length) blocks stay, those at a distance of 0 or a power of two from its end.
  func trimGhosts(to slotCount: Int, dropped: inout [RecordNumber]) {
    // The next request needs records before ghosts can be given up for it.
    let spare = max(0, storage.count - longestRequest - slotCount)
    let capacity = min(slotCount, spare / 2)
    while ghostCount - thinnedCount > capacity, let oldest = pop(&fullGhosts, thinned: false) {
      let block = blocks + Int(oldest.block)
      if block.pointee.fromTail & (block.pointee.fromTail &- 1) == 0 {
        block.pointee.isThinned = true
        thinnedCount += 1
        thinGhosts.push(oldest)
      } else {
        drop(oldest.block, dropped: &dropped)
      }
    }
    while ghostCount > 2 * capacity, let oldest = pop(&thinGhosts, thinned: true) {
      drop(oldest.block, dropped: &dropped)
    }
    sweep(&fullGhosts, thinned: false, count: ghostCount - thinnedCount)
    sweep(&thinGhosts, thinned: true, count: thinnedCount)
  }

  private func isCurrent(_ entry: GhostHeap.Entry, thinned: Bool) -> Bool {
    let block = blocks + Int(entry.block)
    return block.pointee.state == .ghost && block.pointee.sequence == entry.sequence
      && block.pointee.isThinned == thinned
  }

  private func pop(_ heap: inout GhostHeap, thinned: Bool) -> GhostHeap.Entry? {
    while let entry = heap.pop() {
      if isCurrent(entry, thinned: thinned) { return entry }
    }
    return nil
  }

  private func sweep(_ heap: inout GhostHeap, thinned: Bool, count: Int) {
    guard heap.entries.count > 2 * count + 1024 else { return }
    heap.sweep { isCurrent($0, thinned: thinned) }
  }

  private func drop(_ number: UInt32, dropped: inout [RecordNumber]) {
    dropped.append(RecordNumber(rawValue: number))
    remove(number)
  }

  /// Forgets a block, whatever it is.
  func remove(_ number: UInt32) {
    let block = blocks + Int(number)
    guard block.pointee.state != .untracked else { return }
    leave(block, byTouch: false)
    if !block.pointee.isAside { segments.remove(number) }
    segments.removeRecent(number)
    if block.pointee.state == .resident {
      residentCount -= 1
      unlinkParent(number)
    } else {
      ghostCount -= 1
      if block.pointee.isThinned { thinnedCount -= 1 }
    }
    let life = block.pointee.life
    block.update(repeating: HazardIndex.blank, count: 1)
    block.pointee.life = life &+ 1
  }

  private static let blank = HazardBlock(
    touched: 0, sequence: 0, previous: 0, next: 0, older: 0, newer: 0, parent: HazardBlock.none, childrenAndMarks: 0,
    hazardClass: 0, fromTail: 0, bin: 0, touches: 0, state: .untracked, life: 0)
}
