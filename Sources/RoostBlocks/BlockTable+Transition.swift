import RoostPrimitives

/// How slots change: everything that a verb does to a block goes through `apply`.
extension BlockTable {
  /// Lets an event happen to the slot of a record: changes its state, keeps the counts, hides the key when it must
  /// not be found any more, and frees the slot when nothing is left. The record is gone when the result is `free`,
  /// unless it stays as a ghost.
  @discardableResult mutating func apply(_ event: SlotEvent, to number: RecordNumber) -> SlotState {
    let record = records.pointer + Int(number.rawValue)
    let old = record.pointee.state
    guard let new = old.after(event) else { preconditionFailure("a slot that is \(old) cannot \(event)") }
    if new == old { return new }
    let owner = classes + Int(record.pointee.slotClass)
    record.pointee.state = new
    owner.pointee.move(from: old, to: new)
    if old.isFindable, !new.isFindable {
      hide(number, after: event, owner)
    } else if new == .ready, event != .adopt {
      if event == .publish { counters.published += 1 }
      owner.pointee.released.append(number)
    }
    // Holding and releasing a page concern nobody outside.
    if !(old.isLoadable && new.isLoadable) { slots.noteChange(record.pointee.slot) }
    if new == .free { vacate(number, owner) }
    return new
  }

  /// Gives a free slot of the record's class to a ghost, and lets the store begin. Nil: no slot is free.
  mutating func admit(_ number: RecordNumber) -> StoreGrant? {
    let record = records.pointer + Int(number.rawValue)
    let owner = classes + Int(record.pointee.slotClass)
    guard let slot = slots.take(from: &owner.pointee.firstFree, for: number) else { return nil }
    record.pointee.slot = slot
    record.pointee.generation = slots[slot].generation
    owner.pointee.ghostCount -= 1
    apply(.admit, to: number)
    return StoreGrant(outcome: .admitted, slot: SlotNumber(rawValue: slot), generation: record.pointee.generation)
  }

  /// Evicts what a policy named.
  mutating func evictVictims(_ slotClass: SlotClass) {
    let distance = Limits.prefetchDistance
    for victim in victims.prefix(2 * distance) { prefetch(records.pointer + Int(victim.rawValue)) }
    for position in victims.indices {
      // A record is needed for its key, and the key for its bucket.
      if position + 2 * distance < victims.count {
        prefetch(records.pointer + Int(victims[position + 2 * distance].rawValue))
      }
      if position + distance < victims.count {
        index.warm(records.pointer[Int(victims[position + distance].rawValue)].key)
      }
      assert(records[victims[position]].slotClass == slotClass.rawValue, "a policy evicts blocks of its own class")
      apply(.evict, to: victims[position])
    }
  }

  /// Stops tracking a ghost.
  mutating func dropGhost(_ number: RecordNumber) {
    let record = records.pointer + Int(number.rawValue)
    precondition(record.pointee.isIndexed && !record.pointee.isResident, "only ghosts can be dropped")
    classes[Int(record.pointee.slotClass)].ghostCount -= 1
    index.remove(record.pointee.key, number)
    records.release(number)
  }

  /// Tells the policies what the verb did to blocks behind their back. Every verb ends with it.
  mutating func informPolicies() {
    for number in 0..<classCount {
      let owner = classes + number
      if !owner.pointee.removed.isEmpty {
        owner.pointee.policy.removed(owner.pointee.removed)
        owner.pointee.removed.removeAll(keepingCapacity: true)
      }
      if !owner.pointee.released.isEmpty {
        owner.pointee.policy.released(owner.pointee.released)
        owner.pointee.released.removeAll(keepingCapacity: true)
      }
    }
  }

  private mutating func hide(
    _ number: RecordNumber, after event: SlotEvent, _ owner: UnsafeMutablePointer<SlotClassState>
  ) {
    switch event {
    case .evict:
      counters.evicted += 1
      if owner.pointee.keepsGhosts { return }
    case .retire:
      counters.retired += 1
      owner.pointee.removed.append(number)
    default:
      counters.aborted += 1
      owner.pointee.removed.append(number)
    }
    records.pointer[Int(number.rawValue)].isIndexed = false
    index.remove(records.pointer[Int(number.rawValue)].key, number)
  }

  /// The slot goes back to the free list; the record stays only as a ghost.
  private mutating func vacate(_ number: RecordNumber, _ owner: UnsafeMutablePointer<SlotClassState>) {
    let record = records.pointer + Int(number.rawValue)
    slots.give(record.pointee.slot, to: &owner.pointee.firstFree)
    record.pointee.slot = BlockRecord.noSlot
    if record.pointee.isIndexed {
      owner.pointee.ghostCount += 1
    } else {
      records.release(number)
    }
  }
}
