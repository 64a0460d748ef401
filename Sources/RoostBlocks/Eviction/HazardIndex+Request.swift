import RoostPrimitives

extension HazardIndex {
  /// What a look-up tells of a request.
  struct Known {
    var hits: Int
    var shadowHits: Int
    /// 1 + position of the deepest tracked block.
    var depth: Int
    /// Seconds since that block was touched, nil if there is none.
    var gap: Double?
  }

  func look(_ event: RequestEvent) -> Known {
    let requested = event.blocks
    var hits = 0
    while hits < requested.count, isTracked(requested[hits]), block(requested[hits]).state == .resident { hits += 1 }
    var shadowHits = 0
    while shadowHits < requested.count, isTracked(requested[shadowHits]), block(requested[shadowHits]).isInShadow {
      shadowHits += 1
    }
    var depth = requested.count
    while depth > 0, !isTracked(requested[depth - 1]) { depth -= 1 }
    let gap = depth > 0 ? now - block(requested[depth - 1]).touched : nil
    return Known(hits: hits, shadowHits: shadowHits, depth: depth, gap: gap)
  }

  private func isTracked(_ requested: RequestBlock) -> Bool {
    requested.record != .none && block(requested).state != .untracked
  }

  private func block(_ requested: RequestBlock) -> HazardBlock { blocks[Int(requested.record.rawValue)] }

  /// Counts the touch of every block and takes it out of its segment and of the recency list, tail first.
  func leaveSegments(_ event: RequestEvent, known: Int) {
    if plan.touches.count < plan.length {
      plan.touches.append(contentsOf: repeatElement(0, count: plan.length - plan.touches.count))
    }
    // Touches never grow with depth: a floor for untracked blocks above a tracked one.
    var deeper: UInt8 = 2
    for position in (0..<plan.length).reversed() {
      let requested = event.blocks[position]
      guard isTracked(requested) else {
        plan.touches[position] = position < known ? deeper : 1
        continue
      }
      let number = requested.record.rawValue
      let block = blocks + Int(number)
      guard block.pointee.sequence != HazardIndex.taken else {
        plan.touches[position] = block.pointee.touches
        continue
      }
      leave(block, byTouch: true)
      block.pointee.sequence = HazardIndex.taken
      if block.pointee.touches < .max { block.pointee.touches += 1 }
      deeper = max(deeper, block.pointee.touches)
      plan.touches[position] = block.pointee.touches
      if !block.pointee.isAside { segments.remove(number) }
      segments.removeRecent(number)
      block.pointee.isAside = false
      block.pointee.isParked = false
      if block.pointee.state == .ghost { unghost(block) }
    }
  }

  /// A ghost of the request is a newcomer from here on.
  private func unghost(_ block: UnsafeMutablePointer<HazardBlock>) {
    block.pointee.state = .untracked
    ghostCount -= 1
    if block.pointee.isThinned {
      block.pointee.isThinned = false
      thinnedCount -= 1
    }
  }

  /// Marks the touch in the block's record and puts it at the newest end. Of a block that stands in the request twice,
  /// the deeper place counts.
  func touch(_ number: UInt32, _ position: Int, _ event: RequestEvent) {
    let block = blocks + Int(number)
    let isAgain = block.pointee.sequence != HazardIndex.taken && block.pointee.sequence > plan.start
    guard !isAgain || block.pointee.state == .untracked && !block.pointee.isInShadow else { return }
    begin(
      block, touches: plan.touches[position], fromTail: event.blocks.count - 1 - position,
      sequence: sequenceNumber(position))
    segments.appendRecent(number)
  }

  /// The number of the touch at a position: the head is the latest.
  func sequenceNumber(_ position: Int) -> UInt64 { plan.start + UInt64(plan.length - position) }

  /// Gives a block its class and the time.
  func begin(
    _ block: UnsafeMutablePointer<HazardBlock>, touches: UInt8, fromTail: Int, sequence: UInt64
  ) {
    let perTouch = HazardModel.newKinds * HazardModel.gapKinds
    let hazardClass = HazardIndex.touchKind(touches) * perTouch + plan.kind
    block.pointee.touches = touches
    block.pointee.fromTail = UInt16(min(fromTail, Int(UInt16.max)))
    block.pointee.touched = now
    block.pointee.sequence = sequence
    block.pointee.hazardClass = UInt16(hazardClass)
    block.pointee.bin = 0
    model.activate(hazardClass)
    model.enter(HazardSegments.cell(hazardClass, 0))
  }

  /// Puts a block of the request into its segment: as a resident, or as a ghost if it was refused.
  func store(_ position: Int, _ event: RequestEvent) {
    let requested = event.blocks[position]
    guard requested.record != .none else { return }
    let number = requested.record.rawValue
    let block = blocks + Int(number)
    guard block.pointee.sequence == sequenceNumber(position) else { return }
    guard requested.standing != .ghost else {
      if block.pointee.state == .untracked { becomeGhost(number) }
      return
    }
    if block.pointee.state != .resident {
      block.pointee.state = .resident
      residentCount += 1
      link(block, to: position > 0 ? event.blocks[position - 1] : nil)
    }
    segments.append(number, bin: 0)
  }

  /// The blocks of a request longer than the pool that did not count: the table's records of those that nobody knew
  /// are given back, unless one was let in after all, because the request repeats a block.
  func settleExcess(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    for requested in event.blocks[plan.length...] where requested.record != .none {
      let block = blocks + Int(requested.record.rawValue)
      guard block.pointee.state == .untracked, block.pointee.sequence != HazardIndex.taken else { continue }
      if requested.standing == .ghost {
        dropped.append(requested.record)
        block.pointee.sequence = HazardIndex.taken
      } else {
        adopt(requested.record.rawValue)
      }
    }
    for requested in event.blocks[plan.length...] where requested.record != .none {
      let block = blocks + Int(requested.record.rawValue)
      if block.pointee.state == .untracked { block.pointee.sequence = 0 }
    }
  }

  private func link(_ block: UnsafeMutablePointer<HazardBlock>, to parent: RequestBlock?) {
    // Its children were stored before it and have counted themselves.
    block.pointee.parent = HazardBlock.none
    guard let parent, parent.record != .none, parent.standing != .ghost else { return }
    let other = blocks + Int(parent.record.rawValue)
    block.pointee.parent = parent.record.rawValue
    block.pointee.parentLife = other.pointee.life
    other.pointee.childCount += 1
  }

  /// The block's wait ends: moves it through the bins that it has outlived, and counts the end.
  func leave(_ block: UnsafeMutablePointer<HazardBlock>, byTouch: Bool) {
    let base = HazardSegments.cell(Int(block.pointee.hazardClass), 0)
    var bin = Int(block.pointee.bin)
    while bin < HazardModel.binCount - 1, now - block.pointee.touched >= model.edge(bin + 1) {
      bin += 1
      model.enter(base + bin)
    }
    model.leave(base + bin, byTouch: byTouch)
  }

  func learn() {
    ageSegments(HazardSegments.evictable)
    ageSegments(HazardSegments.waiting)
    model.learn { cell in segments.queue(0, cell).count + segments.queue(1, cell).count }
  }

  /// Moves blocks that have outlived their bin to the next ones, youngest bin first.
  func ageSegments(_ side: Int) {
    for hazardClass in model.active {
      for bin in 0..<HazardModel.binCount - 1 where segments.bins(side, hazardClass) >> UInt64(bin) & 1 != 0 {
        let cell = HazardSegments.cell(hazardClass, bin)
        var first = segments.queue(side, cell).first
        while first != HazardBlock.none, now - blocks[Int(first)].touched >= model.edge(bin + 1) {
          segments.remove(first)
          segments.append(first, bin: bin + 1)
          model.enter(cell + 1)
          first = segments.queue(side, cell).first
        }
      }
    }
  }
}
