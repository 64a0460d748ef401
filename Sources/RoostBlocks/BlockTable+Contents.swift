import RoostPrimitives

/// What comes and goes outside of requests: slots of the pool, pages of a kept pool, forgotten identities.
extension BlockTable {
  /// Adds slots that the pool has committed, all of one class. Of a kept pool, some hold pages: those are found from
  /// now on, the others are free.
  ///
  /// A page whose key is known already is not taken: its slot is free, and `drainChanges` reports it.
  ///
  /// - Parameters:
  ///   - range: slot numbers that were not added before.
  ///   - generation: of the free slots; the next content has the next one.
  ///   - pages: pages in slots of `range`.
  /// - Returns: how many pages were taken.
  @discardableResult public mutating func addSlots(
    _ range: Range<SlotNumber.RawValue>, _ slotClass: SlotClass, generation: UInt32 = 0,
    adopting pages: UnsafeBufferPointer<AdoptedSlot> = UnsafeBufferPointer(start: nil, count: 0)
  ) -> Int {
    for page in pages {
      precondition(range.contains(page.slot.rawValue), "an adopted page lies in the slots that are added")
    }
    return add(range, slotClass, generation: generation, adopting: pages)
  }

  /// The same with slots that need not lie side by side.
  mutating func add(
    _ numbers: some BidirectionalCollection<SlotNumber.RawValue>, _ slotClass: SlotClass, generation: UInt32,
    adopting pages: UnsafeBufferPointer<AdoptedSlot>
  ) -> Int {
    precondition(slotClass.rawValue < classCount, "the table has no such slot class")
    let owner = classes + Int(slotClass.rawValue)
    for slot in numbers.reversed() {
      precondition(slot < slots.capacity, "the table was made for fewer slots")
      precondition(slots[slot].standing == .unknown, "a slot is added once")
      slots[slot].generation = generation
    }
    owner.pointee.addSlots(numbers.count)
    var adopted: [RecordNumber] = []
    for page in pages {
      if let number = adopt(page, slotClass) { adopted.append(number) }
    }
    for slot in numbers.reversed() where slots[slot].standing == .unknown {
      slots.give(slot, to: &owner.pointee.firstFree)
    }
    counters.adopted += adopted.count
    informPolicies()
    owner.pointee.policy.adopted(adopted)
    return adopted.count
  }

  /// Forgets every block of an identity: from now on none is found, and slots are freed as soon as no lease holds
  /// them. Slots that are on their way to be free already are reported as changed. Rare, so it simply reads every record, 64 bytes each.
  ///
  /// - Returns: how many blocks with a page were forgotten.
  @discardableResult public mutating func forget(_ identity: IdentityID) -> Int {
    var position = 0
    return forget(identity, from: &position, recordCountMax: .max, pageCountMax: .max)
  }

  /// One turn of the same, for a driver that lets others have the table between turns.
  ///
  /// - Parameters:
  ///   - position: 0 at first; where the next turn goes on; `Int.max` when all records have been read.
  ///   - recordCountMax: records to read at most.
  ///   - pageCountMax: blocks with a page to forget at most.
  /// - Returns: how many blocks with a page were forgotten.
  public mutating func forget(
    _ identity: IdentityID, from position: inout Int, recordCountMax: Int, pageCountMax: Int
  ) -> Int {
    var forgotten = 0
    let end = position + min(max(0, records.touchedCount - position), recordCountMax)
    while position < end, forgotten < pageCountMax {
      let raw = position
      position += 1
      let record = records.pointer + raw
      guard record.pointee.key.identity == identity else { continue }
      let number = RecordNumber(rawValue: UInt32(raw))
      guard record.pointee.isIndexed else {
        // Nothing to find, but a lease or a copy still has the page: reported, so that the driver knows whose it is.
        if record.pointee.state != .free { slots.noteChange(record.pointee.slot) }
        continue
      }
      if record.pointee.isResident {
        apply(.retire, to: number)
        forgotten += 1
      } else {
        classes[Int(record.pointee.slotClass)].removed.append(number)
        dropGhost(number)
      }
    }
    if position >= records.touchedCount { position = .max }
    informPolicies()
    return forgotten
  }

  /// Makes one page unfindable, because its bytes did not pass their check. Its slot is freed as soon as no lease
  /// holds it. A slot that has other content by now is left alone, and counted.
  ///
  /// - Returns: whether there was such a page.
  @discardableResult public mutating func discard(_ slot: SlotNumber, generation: UInt32) -> Bool {
    guard slot.rawValue < slots.capacity, slots[slot.rawValue].standing == .occupied,
      slots[slot.rawValue].generation == generation
    else {
      counters.stale += 1
      return false
    }
    let number = RecordNumber(rawValue: slots[slot.rawValue].link)
    guard records[number].state.isFindable else { return false }
    apply(.retire, to: number)
    informPolicies()
    return true
  }

  /// Forgets everything; the slots stay.
  ///
  /// - Throws: `busy` while leases live: the driver drains them first.
  public mutating func reset() throws(RoostError) {
    guard leases.liveCount == 0 else {
      throw RoostError(
        .busy, "the cache cannot be reset while leases live; end, abort or reclaim them first",
        context: [("leases", "\(leases.liveCount)")])
    }
    index.removeAll()
    storeFilter?.removeAll()
    for raw in 0..<records.touchedCount where records.pointer[raw].isIndexed {
      clear(RecordNumber(rawValue: UInt32(raw)))
    }
    for number in 0..<classCount { classes[number].policy.reset() }
  }

  /// Takes out a record that the index does not know any more.
  private mutating func clear(_ number: RecordNumber) {
    let record = records.pointer + Int(number.rawValue)
    let owner = classes + Int(record.pointee.slotClass)
    if record.pointee.isResident {
      counters.retired += 1
      owner.pointee.move(from: record.pointee.state, to: .free)
      slots.noteChange(record.pointee.slot)
      slots.give(record.pointee.slot, to: &owner.pointee.firstFree)
    } else {
      owner.pointee.ghostCount -= 1
    }
    records.release(number)
  }

  /// Takes a page of a kept pool, or marks its row for clearing.
  private mutating func adopt(_ page: AdoptedSlot, _ slotClass: SlotClass) -> RecordNumber? {
    let slot = page.slot.rawValue
    guard slots[slot].standing == .unknown else { return nil }
    slots[slot].generation = page.generation
    let ghost = index.find(page.key)
    if ghost != .none, !records[ghost].isResident {
      classes[Int(records[ghost].slotClass)].removed.append(ghost)
      dropGhost(ghost)
    }
    guard let number = records.take(page.key, slotClass: slotClass.rawValue) else {
      slots.noteChange(slot)
      return nil
    }
    guard index.insert(page.key, number) == nil else {
      records.release(number)
      slots.noteChange(slot)
      return nil
    }
    slots[slot].link = number.rawValue
    slots[slot].standing = .occupied
    let record = records.pointer + Int(number.rawValue)
    record.pointee.isIndexed = true
    record.pointee.slot = slot
    record.pointee.generation = page.generation
    apply(.adopt, to: number)
    return number
  }
}
