import RoostPrimitives

extension HazardIndex {
  /// Every list must be linked both ways and hold what it counts; the shadow must be the newest blocks; residents must
  /// be resident in the table.
  public func checkInvariants(_ states: BlockStates) -> [String] {
    var problems: [String] = []
    var found = (resident: 0, ghost: 0)
    for side in 0..<2 {
      for hazardClass in model.active {
        for bin in 0..<HazardModel.binCount {
          check(side, hazardClass, bin, states, &found, &problems)
        }
      }
    }
    let aside = (0..<storage.count).count { blocks[$0].isAside }
    if found.resident + aside != residentCount { problems.append("\(residentCount) residents counted") }
    if found.ghost != ghostCount { problems.append("\(found.ghost) ghosts listed, \(ghostCount) counted") }
    checkRecency(&problems)
    return problems
  }

  private func check(
    _ side: Int, _ hazardClass: Int, _ bin: Int, _ states: BlockStates, _ found: inout (resident: Int, ghost: Int),
    _ problems: inout [String]
  ) {
    let queue = segments.queue(side, HazardSegments.cell(hazardClass, bin))
    var number = queue.first
    var previous = HazardBlock.none
    var count = 0
    while number != HazardBlock.none, count <= storage.count {
      let block = blocks[Int(number)]
      if block.previous != previous { problems.append("block \(number) does not point back") }
      if Int(block.hazardClass) != hazardClass || Int(block.bin) != bin {
        problems.append("block \(number) is elsewhere")
      }
      if block.state == .resident { found.resident += 1 } else { found.ghost += 1 }
      if block.state == .untracked { problems.append("block \(number) is listed and untracked") }
      if (block.state == .resident) != states.isResident(RecordNumber(rawValue: number)) {
        problems.append("block \(number) is \(block.state), the table disagrees")
      }
      previous = number
      number = block.next
      count += 1
    }
    if count != queue.count || queue.last != previous {
      problems.append("queue \(side) \(hazardClass) \(bin) is broken")
    }
    let isMarked = segments.bins(side, hazardClass) >> UInt64(bin) & 1 == 1
    if isMarked != (count > 0) { problems.append("the mark of queue \(side) \(hazardClass) \(bin) is wrong") }
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
    if count != residentCount + ghostCount { problems.append("\(count) blocks by recency") }
    if shadow != segments.shadowCount { problems.append("\(shadow) blocks in the shadow") }
  }
}
