import RoostBlocks
import RoostPool
import RoostPrimitives
import RoostStorage

/// Pool to tier, behind: pages are held, sealed if nobody has, and written. Requests never wait for it.
extension Engine {
  private struct Batch {
    var lease: LeaseID?
    var pages: [SealLedger.Page]
    var names: [PageName]
  }

  /// Starts demotions as far as the tier is free for them. False: none.
  func startDemotions(_ link: TierLink, _ turn: inout TierTurn) -> Bool {
    var hasStarted = false
    while turn.count(\.isDemotion) < Limits.demotionBatchesMax, let batch = takeDemotions() {
      hasStarted = true
      guard let lease = batch.lease else { continue }
      var found: [Bool] = []
      link.setup.tier.peek(batch.names, into: &found)
      let isNew = found.map { !$0 }
      var flight = TierFlight(
        purpose: .demotion, lease: lease, outcomes: [], startedAt: configuration.clock.nanoseconds)
      var pages: [TierPage] = []
      for (index, page) in batch.pages.enumerated() where isNew[index] {
        guard let seal = sealed(page) else { continue }
        let memory = tierMemory(of: page.slot)
        let byteCount = configuration.groups[Int(page.key.group)].pageByteCount
        pages.append(TierPage(batch.names[index], memory: memory, facts: PageFacts(byteCount: byteCount, seal: seal)))
        flight.pages.append(page)
      }
      flight.outcomes = Array(repeating: nil, count: pages.count)
      let (known, late) = (found.count { $0 }, isNew.count { $0 } - pages.count)
      state.withLock { state in
        state.books?.counts.demotionsKnown += known
        state.books?.counts.demotionsLate += late
      }
      if pages.isEmpty || !launch(TierBatch(.write, pages), flight, link, &turn) { concludeDemotion(flight) }
    }
    return hasStarted
  }

  /// Takes pages from the queue and holds those that are still there. Nil: none wait.
  private func takeDemotions() -> Batch? {
    let origin = RequestOrigin(request: Engine.tierRequest, time: configuration.clock.nanoseconds)
    return state.withLock { state in
      guard let books = state.books, books.demotions.count > 0, !state.isResetting, books.forgettingCount == 0
      else { return nil }
      let taken = books.demotions.take(Limits.tierBatchPagesMax)
      var grants = [LoadGrant](
        repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: .max), generation: 0), count: taken.count)
      // When too many leases live, nothing is written.
      let lease = try? taken.withUnsafeBufferPointer { keys throws(RoostError) in
        try grants.withUnsafeMutableBufferPointer { grants throws(RoostError) in
          try state.table.beginLoad(keys, origin, into: grants)
        }
      }
      let held = zip(taken, grants).filter { $0.1.outcome == .leased }
      books.counts.demotionsLate += taken.count - held.count
      return Batch(
        lease: lease,
        pages: held.map { SealLedger.Page(key: $0.0, slot: $0.1.slot, generation: $0.1.generation) },
        names: held.map { pageName($0.0, state) })
    }
  }

  /// The seal of a held page, made now if nobody has; nil if the slot has other content by now.
  private func sealed(_ page: SealLedger.Page) -> Seal? {
    guard let pool else { return Seal(low: 0, high: 0) }
    guard var row = pool.row(of: page.slot), row.generation == page.generation else { return nil }
    if row.state == .sealed { return row.seal }
    guard row.state == .ready else { return nil }
    row.seal = pool.seal(of: page.slot)
    row.state = .sealed
    let made = row
    state.withLock { state in
      guard !state.isClosed, let now = pool.row(of: made.slot), now.generation == made.generation, now.state == .ready
      else { return }
      pool.write(made)
      state.counters.sealed += 1
    }
    return made.seal
  }

  /// A batch is over.
  func concludeDemotion(_ flight: TierFlight) {
    state.withLock { state in
      guard let books = state.books, let lease = flight.lease else { return }
      for (page, outcome) in zip(flight.pages, flight.outcomes) {
        switch outcome {
        case .done:
          books.counts.demoted += 1
          books.counts.demotedBytes += configuration.groups[Int(page.key.group)].pageByteCount
        case .throttled: books.counts.demotionsDropped += 1
        case .refused: books.counts.demotionsRefused += 1
        case .missing, .corrupt, .failed, nil: books.counts.demotionsFailed += 1
        }
      }
      settle(lease, state.table.end(lease), &state)
    }
  }
}
