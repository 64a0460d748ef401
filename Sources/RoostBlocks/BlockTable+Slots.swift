import RoostPrimitives

/// Slots that come and go while pages live in them, and pages that their owner holds one by one: for a table whose slots
/// are a drive's. (A pool only grows, and holds by leases.)
extension BlockTable {
  /// Adds slots, free but for those that `pages` lie in; the policy meets these in the order given.
  package mutating func addSlots(
    _ numbers: [SlotNumber.RawValue], _ slotClass: SlotClass, adopting pages: [AdoptedSlot]
  ) {
    pages.withUnsafeBufferPointer { _ = add(numbers, slotClass, generation: 0, adopting: $0) }
  }

  /// Takes slots out, with the blocks in them, held or not; those that are not there are passed over. The slots freed last
  /// are found at once, others by a walk over all free ones.
  package mutating func removeSlots(_ range: Range<SlotNumber.RawValue>, _ slotClass: SlotClass) {
    precondition(range.upperBound <= slots.capacity, "the table was made for fewer slots")
    var left = 0
    for slot in range where slots[slot].standing != .unknown {
      left += 1
      guard slots[slot].standing == .occupied else { continue }
      let number = RecordNumber(rawValue: slots[slot].link)
      if records[number].state.isFindable { apply(.retire, to: number) }
      guard slots[slot].standing == .occupied else { continue }
      precondition(records[number].state == .retiring, "a slot under a lease cannot be removed")
      records[number].holderCount = 0
      apply(.releaseLast, to: number)
    }
    informPolicies()
    let owner = classes + Int(slotClass.rawValue)
    owner.pointee.addSlots(-left)
    var previous = Slots.none
    var slot = owner.pointee.firstFree
    while left > 0, slot != Slots.none {
      let next = slots[slot].link
      if range.contains(slot) {
        left -= 1
        slots[slot].standing = .unknown
        if previous == Slots.none { owner.pointee.firstFree = next } else { slots[previous].link = next }
      } else {
        previous = slot
      }
      slot = next
    }
  }

  /// Holds the published block in a slot, without a lease: it stays until as many calls of `release` as of `hold`.
  package mutating func hold(_ slot: SlotNumber.RawValue) {
    let number = RecordNumber(rawValue: slots[slot].link)
    apply(.lease, to: number)
    records[number].holderCount += 1
  }

  /// Ends a `hold`.
  package mutating func release(_ slot: SlotNumber.RawValue) {
    let number = RecordNumber(rawValue: slots[slot].link)
    records[number].holderCount -= 1
    apply(records[number].holderCount == 0 ? .releaseLast : .release, to: number)
    informPolicies()
  }
}
