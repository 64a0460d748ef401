import RoostPrimitives

extension HazardState {
  /// What a look-up tells of a request.
  struct Known {
    var hits: Int
    var shadowHits: Int
    /// 1 + position of the deepest tracked block.
    var depth: Int
    /// Seconds since that block was touched, nil if there is none.
    var gap: Double?
  }

  func look(_ requested: UnsafeBufferPointer<RequestBlock>) -> Known {
    for block in requested where block.record != .none { prefetch(blocks + Int(block.record.rawValue)) }
    var hits = 0
    while hits < requested.count, isTracked(requested[hits]), block(requested[hits]).pointee.state == .resident {
      hits += 1
    }
    var shadowHits = 0
    while shadowHits < requested.count, isTracked(requested[shadowHits]),
      block(requested[shadowHits]).pointee.isInShadow
    {
      shadowHits += 1
    }
    var depth = requested.count
    while depth > 0, !isTracked(requested[depth - 1]) { depth -= 1 }
    let gap = depth > 0 ? now - block(requested[depth - 1]).pointee.touched : nil
    return Known(hits: hits, shadowHits: shadowHits, depth: depth, gap: gap)
  }

  @inline(__always) private func isTracked(_ requested: RequestBlock) -> Bool {
    requested.record != .none && block(requested).pointee.state != .untracked
  }

  @inline(__always) private func block(_ requested: RequestBlock) -> UnsafeMutablePointer<HazardBlock> {
    blocks + Int(requested.record.rawValue)
  }

  /// Counts the touch of every block and takes it out of its segment and of the recency list, tail first.
  mutating func leaveSegments(_ requested: UnsafeBufferPointer<RequestBlock>, known: Int) {
    // Touches never grow with depth: a floor for untracked blocks above a tracked one.
    var deeper: UInt8 = 2
    var waits = EndedWaits()
    var position = plan.length
    while position > 0 {
      position -= 1
      if requested[position].standing != .held { plan.newcomerCount += 1 }
      guard isTracked(requested[position]) else {
        plan.touches[position] = position < known ? deeper : 1
        continue
      }
      let number = requested[position].record.rawValue
      let block = blocks + Int(number)
      guard block.pointee.sequence != HazardBlock.taken else {
        plan.touches[position] = block.pointee.touches
        continue
      }
      if !waits.includes(block) {
        end(waits)
        waits = EndedWaits(block)
      }
      waits.count += 1
      if block.pointee.touches < .max { block.pointee.touches += 1 }
      deeper = max(deeper, block.pointee.touches)
      plan.touches[position] = block.pointee.touches
      takeOut(number, block)
      block.pointee.sequence = HazardBlock.taken
    }
    end(waits)
  }

  /// Takes a block out of all lists. A ghost of the request is a newcomer from here on.
  @inline(__always) private mutating func takeOut(_ number: UInt32, _ block: UnsafeMutablePointer<HazardBlock>) {
    if block.pointee.isAside {
      block.pointee.isAside = false
      asideCount -= 1
    } else {
      segments.remove(number)
    }
    segments.removeRecent(number)
    block.pointee.isParked = false
    if block.pointee.state == .ghost {
      ghosts.remove(number)
      block.pointee.state = .untracked
      block.pointee.isThinned = false
    }
  }

  /// Finds the rows of the request's blocks, in order of appearance from the head: sums of the model run in it.
  mutating func classify(newBlocks: Int, gap: Double?, outputTokens: Int?) {
    let kind = HazardModel.kind(newBlocks: newBlocks, gap: gap, outputTokens: outputTokens)
    var last = -1
    for position in 0..<plan.length {
      let touchKind = HazardModel.touchKind(plan.touches[position])
      if touchKind == last { continue }
      plan.rows[touchKind] = model.row(touchKind: touchKind, kind: kind)
      last = touchKind
    }
  }

  /// The row of the request's block at a position.
  @inline(__always) func row(_ position: Int) -> Int { plan.rows[HazardModel.touchKind(plan.touches[position])] }

  /// Touches all blocks of the request and puts them into their segments, tail first.
  mutating func putInPlace(_ requested: UnsafeBufferPointer<RequestBlock>) {
    var position = plan.length
    var entered = (row: 0, count: 0)
    while position > 0 {
      position -= 1
      guard requested[position].record != .none else { continue }
      let number = requested[position].record.rawValue
      let row = row(position)
      if touch(number, position, row, isLast: requested.count - 1 - position) {
        if row != entered.row {
          if entered.count > 0 { model.enter(HazardModel.cell(entered.row, 0), count: entered.count) }
          entered = (row, 0)
        }
        entered.count += 1
      }
      if blocks[Int(number)].sequence == plan.sequenceNumber(position) { store(position, requested) }
    }
    if entered.count > 0 { model.enter(HazardModel.cell(entered.row, 0), count: entered.count) }
  }

  /// Marks the touch in the block's record and puts it at the newest end. Of a block that stands in the request twice,
  /// the deeper place counts. False: it has been touched at that.
  @inline(__always) private mutating func touch(
    _ number: UInt32, _ position: Int, _ row: Int, isLast fromTail: Int
  ) -> Bool {
    let block = blocks + Int(number)
    let isAgain = block.pointee.sequence != HazardBlock.taken && block.pointee.sequence > plan.start
    guard !isAgain || block.pointee.state == .untracked && !block.pointee.isInShadow else { return false }
    begin(
      block, row: row, touches: plan.touches[position], isLandmark: fromTail & (fromTail - 1) == 0,
      sequence: plan.sequenceNumber(position))
    segments.appendRecent(number)
    return true
  }

  /// Gives a block its class and the time.
  @inline(__always) func begin(
    _ block: UnsafeMutablePointer<HazardBlock>, row: Int, touches: UInt8, isLandmark: Bool, sequence: UInt64
  ) {
    block.pointee.touches = touches
    block.pointee.isLandmark = isLandmark
    block.pointee.touched = now
    block.pointee.sequence = sequence
    block.pointee.row = UInt16(truncatingIfNeeded: row)
    block.pointee.bin = 0
  }

  /// Puts a block of the request into its segment: as a resident, or as a ghost if it was refused.
  @inline(__always) private mutating func store(_ position: Int, _ requested: UnsafeBufferPointer<RequestBlock>) {
    let number = requested[position].record.rawValue
    let block = blocks + Int(number)
    guard requested[position].standing != .ghost else {
      if block.pointee.state == .untracked { becomeGhost(number) }
      return
    }
    if block.pointee.state != .resident {
      block.pointee.state = .resident
      residentCount += 1
      link(block, to: position > 0 ? requested[position - 1] : nil)
    }
    segments.append(number, bin: 0)
  }

  private func link(_ block: UnsafeMutablePointer<HazardBlock>, to parent: RequestBlock?) {
    // Its children were stored before it and have counted themselves.
    block.pointee.parentOrOlder = HazardBlock.none
    guard let parent, parent.record != .none, parent.standing != .ghost else { return }
    let other = blocks + Int(parent.record.rawValue)
    block.pointee.parentOrOlder = parent.record.rawValue
    block.pointee.parentLife = other.pointee.life
    other.pointee.childCount += 1
  }

  /// The blocks of a request longer than the pool that did not count: the table's records of those that nobody knew
  /// are given back, unless one was let in after all, because the request repeats a block.
  mutating func settleExcess(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    for requested in event.blocks[plan.length...] where requested.record != .none {
      let block = block(requested)
      guard block.pointee.state == .untracked, block.pointee.sequence != HazardBlock.taken else { continue }
      if requested.standing == .ghost {
        dropped.append(requested.record)
        block.pointee.sequence = HazardBlock.taken
      } else {
        adopt(requested.record.rawValue)
      }
    }
    for requested in event.blocks[plan.length...] where requested.record != .none {
      if block(requested).pointee.state == .untracked { block(requested).pointee.sequence = 0 }
    }
  }

  // MARK: The ends of waits

  /// Blocks that were touched at the same time in the same class and bin, whose waits end together.
  private struct EndedWaits {
    var touched = 0.0
    var row: UInt16 = 0
    var bin: UInt8 = 0
    var count = 0

    init() {}

    init(_ block: UnsafePointer<HazardBlock>) {
      touched = block.pointee.touched
      row = block.pointee.row
      bin = block.pointee.bin
    }

    @inline(__always) func includes(_ block: UnsafePointer<HazardBlock>) -> Bool {
      block.pointee.row == row && block.pointee.bin == bin && block.pointee.touched == touched
    }
  }

  /// Moves waits that end by a touch through the bins that they have outlived, and counts the ends.
  private func end(_ waits: EndedWaits) {
    guard waits.count > 0 else { return }
    let cell = lastCell(Int(waits.row), Int(waits.bin), touched: waits.touched, count: waits.count)
    model.touch(cell, count: waits.count)
  }

  /// A block's wait ends unseen.
  func endUnseen(_ block: UnsafePointer<HazardBlock>) {
    let (row, bin) = (Int(block.pointee.row), Int(block.pointee.bin))
    model.censor(lastCell(row, bin, touched: block.pointee.touched, count: 1))
  }

  private func lastCell(_ row: Int, _ bin: Int, touched: Double, count: Int) -> Int {
    var bin = bin
    let age = now - touched
    while age >= model.limits[bin] {
      bin += 1
      model.enter(HazardModel.cell(row, bin), count: count)
    }
    return HazardModel.cell(row, bin)
  }
}
