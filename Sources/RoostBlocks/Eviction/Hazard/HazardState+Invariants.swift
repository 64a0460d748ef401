extension HazardState {
  func checkInvariants(_ states: BlockStates) -> [String] {
    var problems = ghosts.checkInvariants()
    var found = (resident: 0, ghost: 0)
    for row in 0..<model.rowCount {
      for side in 0..<2 {
        for bin in 0..<HazardModel.binCount { check(row, side, bin, states, &found, &problems) }
      }
    }
    let aside = (0..<storage.count).count { blocks[$0].isAside }
    if aside != asideCount { problems.append("\(aside) blocks stand aside, \(asideCount) counted") }
    if found.resident + aside != residentCount { problems.append("\(residentCount) residents counted") }
    if found.ghost != ghosts.count { problems.append("\(found.ghost) ghosts listed, \(ghosts.count) counted") }
    checkRecency(&problems)
    return problems
  }

  private func check(
    _ row: Int, _ side: Int, _ bin: Int, _ states: BlockStates, _ found: inout (resident: Int, ghost: Int),
    _ problems: inout [String]
  ) {
    let part = HazardSegments.part(row, side)
    let queue = segments.queue(part, bin).pointee
    let isMarked = segments.bins(row, side) >> UInt64(bin) & 1 == 1
    if isMarked != (queue.count > 0) { problems.append("the mark of queue \(row) \(side) \(bin) is wrong") }
    var number = queue.count > 0 ? queue.first : HazardBlock.none
    var previous = HazardBlock.none
    var count = 0
    while number != HazardBlock.none, count <= storage.count {
      let block = blocks[Int(number)]
      if block.previous != previous { problems.append("block \(number) does not point back") }
      if Int(block.row) != row || Int(block.bin) != bin { problems.append("block \(number) is elsewhere") }
      if block.touched > queue.youngest { problems.append("block \(number) is younger than its queue says") }
      if block.state == .resident { found.resident += 1 } else { found.ghost += 1 }
      if block.state == .untracked { problems.append("block \(number) is listed and untracked") }
      if (block.state == .resident) != states.isResident(RecordNumber(rawValue: number)) {
        problems.append("block \(number) is \(block.state), the table disagrees")
      }
      previous = number
      number = block.next
      count += 1
    }
    guard count > 0 else { return }
    if count != queue.count || queue.last != previous { problems.append("queue \(row) \(side) \(bin) is broken") }
    let isDue = blocks[Int(queue.first)].touched + segments.limits[bin]
    if segments.due[part] > isDue { problems.append("queue \(row) \(side) \(bin) would age too late") }
  }

  private func checkRecency(_ problems: inout [String]) {
    var number = segments.oldest
    var previous = HazardBlock.none
    var count = 0
    var shadow = 0
    while number != HazardBlock.none, count <= storage.count {
      let block = blocks[Int(number)]
      if block.older != previous { problems.append("block \(number) does not point to the older one") }
      if previous != HazardBlock.none, blocks[Int(previous)].sequence >= block.sequence {
        problems.append("block \(number) is not younger than the one before")
      }
      if block.isInShadow {
        shadow += 1
      } else if shadow > 0 {
        problems.append("block \(number) is missing in the shadow")
      }
      previous = number
      number = block.newer
      count += 1
    }
    if count != residentCount + ghosts.count { problems.append("\(count) blocks by recency") }
    if shadow != segments.shadowCount { problems.append("\(shadow) blocks in the shadow") }
  }
}
