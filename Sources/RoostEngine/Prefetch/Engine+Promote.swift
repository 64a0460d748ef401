import RoostBlocks
import RoostPool
import RoostPrimitives
import RoostStorage

/// Tier to pool: slots are taken as for a store, filled by the tier, and published when the batch is over.
extension Engine {
  private struct Batch {
    var flight: TierFlight
    var pages: [TierPage]
  }

  /// Starts promotions as far as there is room. False: none.
  func startPromotions(_ link: TierLink, _ turn: inout TierTurn) -> Bool {
    var hasStarted = false
    while turn.count(\.isPromotion) < Limits.promotionBatchesMax {
      let (isOver, batch) = state.withLock { state in nextPromotion(link, &state) }
      if let batch {
        hasStarted = true
        if !launch(TierBatch(.read, batch.pages), batch.flight, link, &turn) { concludePromotion(batch.flight) }
      }
      if isOver { break }
    }
    return hasStarted
  }

  /// Takes keys from a ticket and finds slots for them. Under the lock.
  private func nextPromotion(_ link: TierLink, _ state: inout EngineState) -> (isOver: Bool, batch: Batch?) {
    guard let books = state.books, !state.isDraining else { return (true, nil) }
    let limits = slotClassLimits(link, &state)
    let (turn, refused) = books.prefetches.next(Limits.tierBatchPagesMax) { key in
      Int(slotClass(Int(key.group)).rawValue)
    } room: {
      limits[$0]
    }
    books.counts.promotionsRefused += refused
    guard let turn else { return (true, nil) }
    let origin = RequestOrigin(request: Engine.tierRequest, time: configuration.clock.nanoseconds)
    var grants = [StoreGrant](
      repeating: StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: .max), generation: 0), count: turn.keys.count)
    let sizeClass = SlotClass(rawValue: UInt8(turn.slotClass))
    if let pool { state.grow(sizeClass, wanted: turn.keys.count, limit: slotLimit, from: pool) }
    var lease: LeaseID?
    if books.forgettingCount == 0 {
      // When too many leases live, all are refused.
      lease = try? turn.keys.withUnsafeBufferPointer { keys throws(RoostError) in
        try grants.withUnsafeMutableBufferPointer { grants throws(RoostError) in
          try state.table.beginPromotion(keys, sizeClass, origin, into: grants)
        }
      }
    }
    writeRows(&state)
    var flight = TierFlight(
      purpose: .promotion(turn.ticket, slotClass: turn.slotClass), lease: lease, outcomes: [], startedAt: origin.time)
    var pages: [TierPage] = []
    var held: [Key] = []
    for (key, grant) in zip(turn.keys, grants) {
      switch grant.outcome {
      case .held: held.append(key)
      case .refused:
        books.prefetches.settled(turn.ticket, arrived: false)
        books.counts.promotionsRefused += 1
      case .admitted:
        books.prefetches.started(key, turn.slotClass, for: turn.ticket)
        flight.pages.append(SealLedger.Page(key: key, slot: grant.slot, generation: grant.generation))
        pages.append(TierPage(pageName(key, state), memory: tierMemory(of: grant.slot)))
      }
    }
    settleHeld(held, turn.ticket, &state)
    guard lease != nil else { return (false, nil) }
    flight.outcomes = Array(repeating: nil, count: pages.count)
    flight.byteCount = flight.pages.reduce(0) { $0 + configuration.groups[Int($1.key.group)].pageByteCount }
    books.queuedByteCount += flight.byteCount
    books.counts.promotionsBegun += pages.count
    return (false, Batch(flight: flight, pages: pages))
  }

  private func slotClassLimits(_ link: TierLink, _ state: inout EngineState) -> [Int] {
    configuration.slotByteCounts.indices.map { number in
      // Of what the class has, or will have soon: a pool that has just been opened has nothing yet.
      let slotClass = SlotClass(rawValue: UInt8(number))
      if let pool { state.grow(slotClass, wanted: Limits.tierBatchPagesMax, limit: slotLimit, from: pool) }
      let capacity = state.table.capacity(slotClass)
      return capacity == 0 ? 0 : max(1, Int(Double(capacity) * link.setup.promotedShareMax))
    }
  }

  /// Pages that came into the pool by another way since the ticket was made, or are coming.
  private func settleHeld(_ keys: [Key], _ ticket: PrefetchID, _ state: inout EngineState) {
    guard !keys.isEmpty, let books = state.books, let request = books.prefetches.request(of: ticket) else { return }
    var grants = [LoadGrant](
      repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: .max), generation: 0), count: keys.count)
    let origin = RequestOrigin(request: request, time: configuration.clock.nanoseconds)
    let lease = try? keys.withUnsafeBufferPointer { keys throws(RoostError) in
      try grants.withUnsafeMutableBufferPointer { grants throws(RoostError) in
        try state.table.beginLoad(keys, origin, into: grants)
      }
    }
    for grant in grants { books.prefetches.settled(ticket, arrived: grant.outcome == .leased) }
    if let lease, !books.prefetches.hold(lease, for: ticket) { letGo([lease], &state) }
  }

  // MARK: Conclusion

  /// A batch is over: what arrived is published with its seal and held for those who wait, the rest becomes a miss.
  func concludePromotion(_ flight: TierFlight) {
    let now = configuration.clock.nanoseconds
    state.withLock { state in
      guard let books = state.books, let lease = flight.lease else { return }
      var arrived: [(page: SealLedger.Page, facts: PageFacts)] = []
      for (page, outcome) in zip(flight.pages, flight.outcomes) {
        if let facts = verdict(page, outcome, books) {
          arrived.append((page, facts))
          books.counts.promotedBytes += facts.byteCount
        } else {
          state.table.discard(page.slot, generation: page.generation)
          books.prefetches.failed(page.key)
        }
      }
      books.counts.promoted += arrived.count
      books.queuedByteCount -= flight.byteCount
      if arrived.count == flight.pages.count {
        books.speed.note(byteCount: flight.byteCount, from: flight.startedAt, to: now)
      }
      settle(lease, state.table.commit(lease), &state)
      writeSeals(arrived, &state)
      holdArrived(arrived.map(\.page.key), &state)
    }
  }

  /// What a page is, if it arrived and can be used; counts.
  private func verdict(_ page: SealLedger.Page, _ outcome: PageOutcome?, _ books: TierBooks) -> PageFacts? {
    switch outcome {
    case .done(let facts):
      // A page that lies otherwise than the groups say cannot be read here.
      guard facts.byteCount == configuration.groups[Int(page.key.group)].pageByteCount,
        facts.representation == Representation()
      else {
        books.counts.promotionsCorrupt += 1
        return nil
      }
      return facts
    case .missing: books.counts.promotionsMissing += 1
    case .corrupt: books.counts.promotionsCorrupt += 1
    case .throttled, .refused, .failed, nil: books.counts.promotionsFailed += 1
    }
    return nil
  }

  /// The tier compared the pages with their seals: the rows say so.
  private func writeSeals(_ arrived: [(page: SealLedger.Page, facts: PageFacts)], _ state: inout EngineState) {
    guard let pool, !state.isClosed else { return }
    for (page, facts) in arrived {
      guard var row = pool.row(of: page.slot), row.generation == page.generation, row.state == .ready else { continue }
      row.seal = facts.seal
      row.state = .sealed
      pool.write(row)
    }
  }

  /// Holds pages for the tickets that waited for them.
  private func holdArrived(_ keys: [Key], _ state: inout EngineState) {
    guard let books = state.books else { return }
    var wanted: [PrefetchID: [Key]] = [:]
    for key in keys {
      for ticket in books.prefetches.arrived(key) { wanted[ticket, default: []].append(key) }
    }
    // In their order: a dictionary's differs from run to run.
    for (ticket, keys) in wanted.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      guard let request = books.prefetches.request(of: ticket) else { continue }
      var grants = [LoadGrant](
        repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: .max), generation: 0), count: keys.count)
      let origin = RequestOrigin(request: request, time: configuration.clock.nanoseconds)
      // Without a lease to spare they are ready all the same, and may go again.
      let lease = try? keys.withUnsafeBufferPointer { keys throws(RoostError) in
        try grants.withUnsafeMutableBufferPointer { grants throws(RoostError) in
          try state.table.beginLoad(keys, origin, into: grants)
        }
      }
      if let lease { _ = books.prefetches.hold(lease, for: ticket) }
    }
  }
}
