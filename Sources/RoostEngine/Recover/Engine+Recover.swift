import RoostBlocks
import RoostPool
import RoostPrimitives

extension Engine {
  /// Takes in what a kept pool's former owner left: identities, slots, sealed pages. Every page is checked against its
  /// seal before its first load, not here, so that a large pool is usable at once.
  func recover() throws(RoostError) {
    guard let pool, let adoption = pool.adoption else { return }
    let limit = slotLimit
    state.withLock { state in
      for digest in adoption.identities { _ = state.identities.intern(digest) }
      var pages = pagesBySlotRange(adoption)
      for (number, range) in adoption.ranges.enumerated() {
        let slotClass = SlotClass(rawValue: UInt8(range.slotClass))
        let room = limit - state.table.capacity(slotClass)
        let slots = range.slots.prefix(max(0, room))
        guard !slots.isEmpty else {
          for page in pages[number] { pool.clear(page.slot) }
          continue
        }
        for page in pages[number] where !slots.contains(page.slot.rawValue) { pool.clear(page.slot) }
        pages[number].removeAll { !slots.contains($0.slot.rawValue) }
        _ = pages[number].withUnsafeBufferPointer { state.table.addSlots(slots, slotClass, adopting: $0) }
        guard configuration.verification != .none else { continue }
        for page in pages[number] { state.unchecked.insert(page.slot) }
      }
      writeRows(&state, .adopting)
    }
  }

  /// The adopted pages of each range. A row whose group has pages of another size is emptied: nobody could load it,
  /// and `forget` would not find it.
  private func pagesBySlotRange(_ adoption: Adoption) -> [[AdoptedSlot]] {
    var pages = [[AdoptedSlot]](repeating: [], count: adoption.ranges.count)
    let order = adoption.ranges.indices.sorted {
      adoption.ranges[$0].slots.lowerBound < adoption.ranges[$1].slots.lowerBound
    }
    for row in adoption.rows {
      let above = order.partitioningIndex { adoption.ranges[$0].slots.lowerBound > row.slot.rawValue }
      guard above > 0, adoption.ranges[order[above - 1]].slots.contains(row.slot.rawValue),
        Int(row.key.group) < configuration.groups.count,
        Int(slotClass(Int(row.key.group)).rawValue) == adoption.ranges[order[above - 1]].slotClass
      else {
        pool?.clear(row.slot)
        continue
      }
      pages[order[above - 1]].append(AdoptedSlot(key: row.key, slot: row.slot, generation: row.generation))
    }
    return pages
  }
}
