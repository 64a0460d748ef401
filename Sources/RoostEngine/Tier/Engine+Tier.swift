import Glibc
import RoostBlocks
import RoostPool
import RoostPrimitives
import RoostStorage

/// The driver of the tier: takes work from the ledgers under the engine's lock, and hands it to the tier without.
extension Engine {
  /// The request that moves pages between pool and tier; no caller's request has this number.
  static let tierRequest = RequestID(rawValue: .max - 1)

  func startTier() throws(RoostError) {
    guard let tier, tier.setup.driving == .thread else { return }
    try tier.start(on: configuration.clock) { [weak self] in self?.turnTier() ?? .over }
  }

  /// Waits until the tier has found what an earlier process left.
  func waitForTier(until deadline: Deadline) {
    guard let tier else { return }
    while !tier.isSettled, !deadline.hasPassed() {
      if tier.setup.driving == .caller { turnTier() } else { usleep(Limits.drainPollMicroseconds) }
    }
  }

  /// Moves the tier's work on as far as it goes without waiting. For engines whose tier is driven by their caller
  /// (`TierSetup.Driving.caller`); the first call recovers the tier.
  @discardableResult public func turnTier() -> TierOutlook {
    guard let tier else { return .over }
    return tier.turn.withLock { turn in
      guard !turn.isOver else { return .over }
      if tier.setup.driving == .caller { tier.recoverIfDue(on: configuration.clock) }
      guard tier.isReady else { return .idle }
      registerChunk(tier, &turn)
      expirePrefetches()
      var isBusy = startPromotions(tier, &turn)
      if startDemotions(tier, &turn) { isBusy = true }
      if collect(tier, &turn) { isBusy = true }
      return isBusy ? .busy : turn.flights.isEmpty ? .idle : .waits
    }
  }

  /// Tells the tier of one chunk of the pool that it has not heard of: the pool grows while the engine runs, and no page
  /// shall wait for more than one.
  private func registerChunk(_ link: TierLink, _ turn: inout TierTurn) {
    guard let chunk = pool?.memory.chunks(after: turn.chunkCount).first else { return }
    turn.chunkCount += 1
    let start = UnsafeMutableRawPointer(bitPattern: chunk.memory.address)
    link.setup.tier.register(UnsafeMutableRawBufferPointer(start: start, count: chunk.memory.byteCount))
  }

  /// Takes in what has happened. False: nothing.
  private func collect(_ link: TierLink, _ turn: inout TierTurn) -> Bool {
    guard !turn.flights.isEmpty else { return false }
    turn.events.removeAll(keepingCapacity: true)
    link.setup.tier.poll(Limits.tierEventsMax, into: &turn.events)
    for event in turn.events {
      switch event {
      case .page(let ticket, let index, let outcome): turn.flights[ticket]?.outcomes[index] = outcome
      case .released(let ticket):
        guard let flight = turn.flights.removeValue(forKey: ticket) else { continue }
        switch flight.purpose {
        case .promotion: concludePromotion(flight)
        case .demotion: concludeDemotion(flight)
        }
      }
    }
    return !turn.events.isEmpty
  }

  /// Hands a batch to the tier. False: the tier does not take it, and the flight is concluded.
  func launch(_ batch: TierBatch, _ flight: TierFlight, _ link: TierLink, _ turn: inout TierTurn) -> Bool {
    do throws(RoostError) {
      turn.flights[try link.setup.tier.submit(batch)] = flight
      return true
    } catch {
      Log.write(.warning, "tier '\(link.setup.tier.name)' takes nothing: \(error)")
      return false
    }
  }

  /// The memory of a slot; empty in a dry run.
  func tierMemory(of slot: SlotNumber) -> UnsafeMutableRawBufferPointer {
    pool?.memory.bytes(of: slot) ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  /// What the tier calls a page. Under the lock.
  func pageName(_ key: Key, _ state: borrowing EngineState) -> PageName {
    PageName(key, identity: state.identities[key.identity])
  }

  /// Ends what the tier still has, and closes it. What waits to be written is written first, if there is time.
  ///
  /// - Returns: false if it hangs: a drive that is stuck holds up any call, and may still have slots. A thread that
  ///   outlives the engine waits for it then.
  func closeTier(until deadline: Deadline) -> Bool {
    guard let tier, !state.withLock({ $0.isClosed }) else { return true }
    guard tier.setup.driving == .thread else {
      endTier(tier, until: deadline)
      return true
    }
    let limit = max(deadline, .after(seconds: Limits.tierCloseSeconds))
    guard HostThread.run("roost-tier-end", until: limit, { self.endTier(tier, until: deadline) }) else {
      Log.write(.error, "tier '\(tier.setup.tier.name)' hangs, and is left behind")
      return false
    }
    return true
  }

  private func endTier(_ tier: TierLink, until deadline: Deadline) {
    tier.stop()
    while !deadline.hasPassed() {
      let outlook = turnTier()
      if case .waits = outlook {
        _ = tier.setup.tier.wait(until: min(deadline, .after(seconds: Limits.tierWaitSeconds)))
        continue
      }
      guard case .busy = outlook else { break }
    }
    tier.turn.withLock { turn in
      guard !turn.isOver else { return }
      turn.isOver = true
      tier.setup.tier.close(until: .after(seconds: deadline.secondsLeft(), on: configuration.clock))
      // Now nobody writes into the slots any more.
      state.withLock { state in
        for flight in turn.flights.values {
          guard let lease = flight.lease else { continue }
          for page in flight.pages where flight.isPromotion { state.books?.prefetches.failed(page.key) }
          if flight.isPromotion { state.books?.counts.promotionsFailed += flight.pages.count }
          if flight.isDemotion { state.books?.counts.demotionsFailed += flight.pages.count }
          settle(lease, state.table.abort(lease), &state)
        }
      }
      turn.flights.removeAll()
    }
  }

  /// What passed between pool and tier.
  func tierStatistics() -> TierStatistics? {
    guard let tier else { return nil }
    let now = configuration.clock.nanoseconds
    let usage = tier.setup.tier.usage
    return state.withLock { state in
      guard let books = state.books else { return nil }
      var result = books.counts
      result.isReady = tier.isReady
      result.promotionsInFlight = books.prefetches.inFlight.reduce(0, +)
      result.demotionsQueued = books.demotions.count
      result.demotionsInFlight =
        result.offered - result.demoted - result.demotionsKnown - result.demotionsRefused - result.demotionsDropped
        - result.demotionsLate - result.demotionsFailed - result.demotionsQueued
      result.bytesPerSecond = books.speed.lastBytesPerSecond
      result.usage = usage
      let seconds = Double(now &- min(now, books.startedAt)) / 1e9
      if seconds >= Limits.wearSecondsMin, usage.capacityBytes > 0 {
        result.capacityWritesPerDay = Double(result.demotedBytes) / seconds * 86_400 / Double(usage.capacityBytes)
      }
      return result
    }
  }
}
