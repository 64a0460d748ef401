import RoostBlocks
import RoostPool
import RoostPrimitives

/// How rows are written.
enum RowManner {
  case plain
  /// Overwrite the bytes of slots that became free, and of those that will when their leases end.
  case erasing
  /// Leave the rows of pages as the former owner wrote them: they have seals.
  case adopting
}

extension Engine {
  /// Brings the pool's slot table up to date with what a verb changed. Under the lock, so that rows change in the
  /// order of the verbs; no more than a cache line or two a block.
  ///
  /// - Parameter manner: what else to do, or to leave.
  func writeRows(_ state: inout EngineState, _ manner: RowManner = .plain) {
    // After `close` the table may be another owner's.
    guard let pool, !state.isClosed else { return }
    let changes = state.changes.buffer
    var count = 0
    repeat {
      count = state.table.drainChanges(into: changes)
      for change in changes.prefix(count) {
        if state.events.isActive { state.events.note(change, before: pool.row(of: change.slot)) }
        write(change, pool, manner)
        if manner == .erasing || !state.toErase.isEmpty { erase(change, &state, pool, manner) }
        // What is written from now on is no longer what the former owner left.
        if change.state != .ready, !state.unchecked.isEmpty { state.unchecked.remove(change.slot) }
      }
    } while count == changes.count
  }

  private func write(_ change: SlotChange, _ pool: Pool, _ manner: RowManner) {
    guard let key = change.key else {
      pool.clear(change.slot)
      return
    }
    if manner == .adopting, change.state == .ready { return }
    guard change.state != .writing else { return pool.markFilling(change.slot, generation: change.generation) }
    let byteCount = UInt32(configuration.groups[Int(key.group)].pageByteCount)
    pool.write(
      SlotRow(slot: change.slot, generation: change.generation, state: .ready, key: key, byteCount: byteCount))
  }

  /// Overwrites the bytes of a forgotten page, at once or when the last lease lets its slot go.
  private func erase(_ change: SlotChange, _ state: inout EngineState, _ pool: Pool, _ manner: RowManner) {
    guard change.key == nil else { return }
    if change.state == .free {
      guard state.toErase.remove(change.slot) != nil || manner == .erasing else { return }
      pool.memory.bytes(of: change.slot).initializeMemory(as: UInt8.self, repeating: 0)
    } else if manner == .erasing {
      state.toErase.insert(change.slot)
    }
  }
}
