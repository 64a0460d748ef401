import RoostBlocks
import RoostPool
import RoostPrimitives

/// Seals are made after publication, under a load lease of the engine's own, outside the lock: in the thread that
/// published under `Verification.host`, so that a load right after a commit finds them, and behind, in a thread of
/// the engine's, for a kept pool.
extension Engine {
  /// The request that seals; no caller's request has this number.
  static let sealingRequest = RequestID(rawValue: .max)

  /// Whether pages are sealed, and by whom.
  var sealsAtOnce: Bool { pool != nil && configuration.verification == .host }
  var sealsBehind: Bool { pool?.configuration.isKept == true && !sealsAtOnce }

  func startSealing() throws(RoostError) {
    state.withLock { state in
      state.seals.isSealing = sealsAtOnce || sealsBehind
      state.seals.isActive = state.seals.isSealing || tier != nil
    }
    guard sealsBehind else { return }
    let made = try Sealer { [weak self] in self?.sealBatch() ?? false }
    sealer.withLock { $0 = made }
  }

  /// To be called after every verb that may have published, without the lock.
  func afterPublishing() {
    if sealsAtOnce {
      while sealBatch() {}
    } else if sealsBehind {
      sealer.withLock { $0 }?.wake()
    }
  }

  /// Seals some pages of the queue. False: there were none.
  func sealBatch() -> Bool {
    guard let pool, let batch = takeBatch() else { return false }
    var rows: [SlotRow] = []
    rows.reserveCapacity(batch.pages.count)
    for page in batch.pages {
      guard var row = pool.row(of: page.slot), row.state == .ready, row.generation == page.generation else { continue }
      row.seal = pool.seal(of: page.slot)
      row.state = .sealed
      rows.append(row)
    }
    state.withLock { state in
      guard !state.isClosed else { return }
      for row in rows where pool.row(of: row.slot)?.generation == row.generation { pool.write(row) }
      state.counters.sealed += rows.count
      if let lease = batch.lease { settle(lease, state.table.end(lease), &state) }
    }
    return true
  }

  private struct Batch {
    var pages: [SealLedger.Page]
    var lease: LeaseID?
  }

  /// Takes pages from the queue and holds those that are still there.
  private func takeBatch() -> Batch? {
    let origin = RequestOrigin(request: Engine.sealingRequest, time: configuration.clock.nanoseconds)
    return state.withLock { state in
      guard state.seals.hasWork, !state.isResetting else { return nil }
      let taken = state.seals.take(countMax: Limits.sealBatchMax)
      let pages = Array(taken)
      let keys = pages.map(\.key)
      var grants = [LoadGrant](
        repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: .max), generation: 0), count: pages.count)
      let lease: LeaseID?
      do {
        lease = try keys.withUnsafeBufferPointer { keys in
          try grants.withUnsafeMutableBufferPointer { try state.table.beginLoad(keys, origin, into: $0) }
        }
      } catch {
        // Too many leases live; their ends wake the sealer again.
        state.seals.putBack(taken)
        return nil
      }
      let held = zip(pages, grants).filter { page, grant in
        grant.outcome == .leased && grant.slot == page.slot && grant.generation == page.generation
      }
      return Batch(pages: held.map(\.0), lease: lease)
    }
  }

  /// Checks leased pages that must be, drops those that differ, and says `missing` for them.
  func checkSeals(_ keys: UnsafeBufferPointer<Key>, _ grants: UnsafeMutableBufferPointer<LoadGrant>) {
    guard let pool else { return }
    for index in grants.indices.prefix(keys.count) where grants[index].outcome == .leased {
      let slot = grants[index].slot
      guard sealsAtOnce || state.withLock({ $0.unchecked.contains(slot) }) else { continue }
      switch verdict(of: slot, grants[index].generation, pool) {
      case .good: state.withLock { _ = $0.unchecked.remove(slot) }
      case .unsealed: grants[index].outcome = .missing
      case .corrupt:
        discard(slot, grants[index].generation)
        grants[index].outcome = .missing
      }
    }
  }

  private enum Verdict {
    case good, unsealed, corrupt
  }

  private func verdict(of slot: SlotNumber, _ generation: UInt32, _ pool: Pool) -> Verdict {
    // Under the lock, under which rows are written: half a row would look like a damaged one.
    let read = state.withLock { _ in pool.row(of: slot) }
    guard let row = read, row.generation == generation else { return .corrupt }
    guard row.state == .sealed else { return .unsealed }
    let isGood = pool.check(slot, row.seal)
    state.withLock { $0.counters.checked += 1 }
    return isGood ? .good : .corrupt
  }

  private func discard(_ slot: SlotNumber, _ generation: UInt32) {
    Log.write(
      .error, "the page in slot \(slot.rawValue) does not pass its seal; it is dropped and will be computed again")
    state.withLock { state in
      state.unchecked.remove(slot)
      if state.table.discard(slot, generation: generation) { state.counters.corrupt += 1 }
      writeRows(&state)
    }
  }
}
