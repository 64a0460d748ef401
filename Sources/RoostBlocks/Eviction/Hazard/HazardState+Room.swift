import RoostPrimitives

extension HazardState {
  /// The newcomers of a request that are not refused yet.
  struct Newcomers {
    let requested: UnsafeBufferPointer<RequestBlock>
    var accepted: Int
    /// The position of the last of them.
    var deepest: Int

    /// Refuses the last one.
    mutating func refuse() {
      accepted -= 1
      step()
    }

    /// Goes to the newcomer before.
    mutating func step() {
      deepest -= 1
      while deepest >= 0, requested[deepest].standing == .held { deepest -= 1 }
    }
  }

  /// Evicts or refuses until the rest fits. Returns how many of the request's newcomers are let in.
  mutating func makeRoom(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    // What leases and running copies hold cannot be counted on: the table says how many fit at the most.
    let accepted = min(plan.newcomerCount, event.admissionMax)
    var excess = accepted - event.freeSlotCount
    guard excess > 0 else { return accepted }
    var newcomers = Newcomers(requested: event.blocks, accepted: accepted, deepest: plan.length)
    for _ in accepted...plan.newcomerCount { newcomers.step() }
    takeVictims(&excess, event.states, victims: &victims, &newcomers)
    // Everything else is part of the request, or held: refuse its tail.
    return max(0, newcomers.accepted - max(0, excess))
  }

  mutating func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    var missing = count
    var newcomers = Newcomers(requested: UnsafeBufferPointer(start: nil, count: 0), accepted: 0, deepest: 0)
    takeVictims(&missing, states, victims: &victims, &newcomers)
  }

  /// Takes victims until `excess` is 0 or nothing is left: freed parents, then segments by index.
  private mutating func takeVictims(
    _ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber], _ newcomers: inout Newcomers
  ) {
    drainFreed(&excess, states, victims: &victims)
    guard excess > 0 else { return }
    segments.age(HazardSegments.evictable, to: now, model)
    if guardState.actsAsLRU {
      takeOldest(&excess, states, victims: &victims)
    } else {
      takeLowest(&excess, states, victims: &victims, &newcomers)
    }
    takeParked(&excess, states, victims: &victims)
  }

  /// By index, lowest first. Before each victim the deepest newcomer is asked whether it earns more.
  private mutating func takeLowest(
    _ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber], _ newcomers: inout Newcomers
  ) {
    gatherCandidates()
    while excess > 0, let candidate = candidates.first {
      let (row, bin) = (Int(candidate.row), Int(candidate.bin))
      if segments.bins(row, HazardSegments.evictable) >> UInt64(bin) & 1 == 0 {
        candidates.removeFirst()
      } else if newcomers.accepted > 0,
        HazardState.admissionFactor * model.index(self.row(newcomers.deepest), 0) < candidate.key
      {
        newcomers.refuse()
        excess -= 1
      } else {
        takeOne(segments.first(row, HazardSegments.evictable, bin), &excess, states, victims: &victims)
      }
    }
  }

  /// The non-empty segments, lowest index first, then older ages, then class.
  private mutating func gatherCandidates() {
    candidates.removeAll()
    for row in 0..<model.rowCount {
      var bins = segments.bins(row, HazardSegments.evictable)
      while bins != 0 {
        let bin = bins.trailingZeroBitCount
        bins &= bins - 1
        let tie = UInt32(HazardModel.binCount - bin) << 16 | UInt32(model.rows[row].hazardClass)
        candidates.append(
          CandidateQueue.Candidate(key: model.index(row, bin), tie: tie, row: UInt16(row), bin: UInt8(bin)))
      }
    }
    candidates.order()
  }

  /// Exact LRU: merges the class lists by their touch numbers.
  private mutating func takeOldest(
    _ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber]
  ) {
    candidates.removeAll()
    for row in 0..<model.rowCount {
      if let candidate = oldest(row) { candidates.append(candidate) }
    }
    candidates.order()
    while excess > 0, let candidate = candidates.first {
      let row = Int(candidate.row)
      takeOne(
        segments.first(row, HazardSegments.evictable, Int(candidate.bin)), &excess, states, victims: &victims)
      if let next = oldest(row) { candidates.replaceFirst(next) } else { candidates.removeFirst() }
    }
  }

  private func oldest(_ row: Int) -> CandidateQueue.Candidate? {
    let bins = segments.bins(row, HazardSegments.evictable)
    guard bins != 0 else { return nil }
    let bin = 63 - bins.leadingZeroBitCount
    let sequence = blocks[Int(segments.first(row, HazardSegments.evictable, bin))].sequence
    return CandidateQueue.Candidate(key: Double(sequence), tie: 0, row: UInt16(row), bin: UInt8(bin))
  }

  /// The last resort: parents whose children are all held, or whose links make no sense because a request repeats a
  /// block. Reads every block that waits, so only when nothing else is left and the table promised that there is more.
  private mutating func takeParked(_ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    guard excess > 0 else { return }
    for row in 0..<model.rowCount {
      var bins = segments.bins(row, HazardSegments.waiting)
      while bins != 0, excess > 0 {
        var number = segments.first(row, HazardSegments.waiting, bins.trailingZeroBitCount)
        bins &= bins - 1
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
  @inline(__always) private func mayGo(_ number: UInt32, _ states: BlockStates) -> Bool {
    states.isEvictable(RecordNumber(rawValue: number)) && (plan.excess.isEmpty || !plan.excess.contains(number))
  }

  /// The oldest block of a segment goes: to be evicted, to be parked while it has children, or aside while it is held.
  private mutating func takeOne(
    _ number: UInt32, _ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber]
  ) {
    let block = blocks + Int(number)
    segments.remove(number)
    if !mayGo(number, states) {
      block.pointee.isAside = true
      asideCount += 1
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
  private mutating func drainFreed(_ excess: inout Int, _ states: BlockStates, victims: inout [RecordNumber]) {
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
  private mutating func evict(_ number: UInt32, victims: inout [RecordNumber]) {
    victims.append(RecordNumber(rawValue: number))
    residentCount -= 1
    unlinkParent(number)
    becomeGhost(number)
  }

  private mutating func unlinkParent(_ number: UInt32) {
    let parent = blocks[Int(number)].parentOrOlder
    blocks[Int(number)].parentOrOlder = HazardBlock.none
    // A parent that is a ghost still counts: it may come back before its child goes.
    guard parent != HazardBlock.none, blocks[Int(parent)].life == blocks[Int(number)].parentLife,
      blocks[Int(parent)].childCount > 0
    else { return }
    blocks[Int(parent)].childCount -= 1
    if blocks[Int(parent)].childCount == 0, blocks[Int(parent)].isParked { freed.append(parent) }
  }

  /// A block that is in no segment goes on as a ghost, in its bin.
  mutating func becomeGhost(_ number: UInt32) {
    let block = blocks + Int(number)
    block.pointee.state = .ghost
    block.pointee.isParked = false
    ghosts.push(number)
    segments.append(number, bin: Int(block.pointee.bin))
  }

  /// Gives up the oldest ghosts, as many as `newCount` younger ones will displace: `capacity` full ones stay, and as many
  /// landmarks. Of an old chain about log2(length) blocks stay, at a distance of 0 or a power of two from its end.
  mutating func trimGhosts(_ capacity: Int, expecting newCount: Int, dropped: inout [RecordNumber]) {
    while ghosts.fullCount + newCount > capacity, let oldest = ghosts.oldest(thinned: false) {
      if blocks[Int(oldest)].isLandmark {
        ghosts.remove(oldest)
        blocks[Int(oldest)].isThinned = true
        ghosts.push(oldest)
      } else {
        drop(oldest, dropped: &dropped)
      }
    }
    while ghosts.count + newCount > 2 * capacity, let oldest = ghosts.oldest(thinned: true) {
      drop(oldest, dropped: &dropped)
    }
  }

  private mutating func drop(_ number: UInt32, dropped: inout [RecordNumber]) {
    dropped.append(RecordNumber(rawValue: number))
    remove(number)
  }

  /// Forgets a block, whatever it is.
  mutating func remove(_ number: UInt32) {
    let block = blocks + Int(number)
    guard block.pointee.state != .untracked else { return }
    endUnseen(block)
    if block.pointee.isAside { asideCount -= 1 } else { segments.remove(number) }
    segments.removeRecent(number)
    if block.pointee.state == .resident {
      residentCount -= 1
      unlinkParent(number)
    } else {
      ghosts.remove(number)
    }
    block.pointee = HazardBlock(life: block.pointee.life &+ 1)
  }
}
