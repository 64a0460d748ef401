import RoostPrimitives

extension BlockTable {
  /// What is wrong with the table, recomputed from scratch; empty if all is well. O(slots + records): for tests.
  public func checkInvariants() -> [String] {
    var problems = index.checkInvariants()
    problems += checkSums()
    problems += checkSlots()
    problems += checkRecords()
    for number in 0..<classCount {
      problems += classes[number].policy.checkInvariants(BlockStates(records))
    }
    return problems
  }

  private func checkSums() -> [String] {
    var problems: [String] = []
    func expect(_ condition: Bool, _ text: String) { if !condition { problems.append(text) } }
    let now = statistics
    expect(now.hits + now.misses == now.lookups, "hits + misses = lookups")
    expect(now.allocated + now.free == now.capacity, "allocated + free = capacity")
    expect(now.held + now.admitted + now.refused == now.offered, "held + admitted + refused = offered")
    expect(
      now.admitted + now.adopted + now.promoted == now.evicted + now.retired + now.aborted + now.resident,
      "admitted + adopted + promoted = evicted + retired + aborted + resident")
    expect(now.resident + now.ghosts == index.count, "the index leads to residents and ghosts")
    expect(now.resident + now.ghosts + now.unkeyed == records.usedCount, "every record has a use")
    return problems
  }

  /// Free lists and records must share out the slots.
  private func checkSlots() -> [String] {
    var problems: [String] = []
    var freeSlots = Set<UInt32>()
    for number in 0..<classCount {
      var slot = classes[number].firstFree
      var length = 0
      while slot != Slots.none, freeSlots.insert(slot).inserted {
        if slots[slot].standing != .free { problems.append("slot \(slot) is on the free list and not free") }
        slot = slots[slot].link
        length += 1
      }
      if slot != Slots.none { problems.append("slot \(slot) is on the free list twice") }
      if length != classes[number].count(of: .free) { problems.append("class \(number) miscounts its free slots") }
    }
    for slot in 0..<UInt32(slots.capacity) {
      let row = slots[slot]
      if row.standing == .free, !freeSlots.contains(slot) { problems.append("free slot \(slot) is lost") }
      if row.standing == .occupied, records[RecordNumber(rawValue: row.link)].slot != slot {
        problems.append("slot \(slot) leads to a record that lies elsewhere")
      }
    }
    return problems
  }

  private func checkRecords() -> [String] {
    var problems: [String] = []
    let holders = holdersBySlot()
    let unused = records.unusedNumbers()
    var counts = [[SlotState: Int]](repeating: [:], count: classCount)
    for raw in 0..<UInt32(records.touchedCount) where !unused.contains(raw) {
      let record = records[RecordNumber(rawValue: raw)]
      if record.isResident {
        counts[Int(record.slotClass)][record.state, default: 0] += 1
        problems += checkResident(raw, holders[record.slot] ?? (0, 0))
      } else if !record.isIndexed || record.state != .free {
        problems.append("record \(raw) has no slot and is no ghost")
      }
    }
    for number in 0..<classCount {
      for state in SlotState.allCases where state != .free {
        if counts[number][state, default: 0] != classes[number].count(of: state) {
          problems.append("class \(number) miscounts \(state)")
        }
      }
    }
    return problems
  }

  private func checkResident(_ raw: UInt32, _ holders: (loads: Int, stores: Int)) -> [String] {
    var problems: [String] = []
    let record = records[RecordNumber(rawValue: raw)]
    let row = slots[record.slot]
    if row.standing != .occupied || row.link != raw || row.generation != record.generation {
      problems.append("record \(raw) and slot \(record.slot) do not belong together")
    }
    if record.isIndexed != record.state.isFindable {
      problems.append("record \(raw) is \(record.state), wrongly indexed")
    }
    if record.isIndexed, index.find(record.key) != RecordNumber(rawValue: raw) {
      problems.append("record \(raw) is lost")
    }
    if record.holderCount != holders.loads { problems.append("record \(raw) miscounts its loads") }
    let fits =
      switch record.state {
      case .free: false
      case .ready: holders == (0, 0)
      case .leased: holders.loads > 0 && holders.stores == 0
      case .writing, .reclaiming: holders == (0, 1)
      case .retiring: holders.loads > 0 || holders.stores == 1
      }
    if !fits { problems.append("slot \(record.slot) is \(record.state), held by \(holders)") }
    return problems
  }

  private func holdersBySlot() -> [UInt32: (loads: Int, stores: Int)] {
    var result: [UInt32: (loads: Int, stores: Int)] = [:]
    for number in 0..<leases.numberCount where leases.isLive(number) {
      let lease = leases[number]
      for number in lease.records {
        let slot = records[number].slot
        var holders = result[slot] ?? (0, 0)
        if lease.state.kind == .load { holders.loads += 1 } else { holders.stores += 1 }
        result[slot] = holders
      }
    }
    return result
  }
}
