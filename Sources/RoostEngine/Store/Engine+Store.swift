import RoostBlocks
import RoostPrimitives

extension Engine {
  /// Finds room for the blocks of a request that are not stored yet. `keys` are all blocks of the request in one
  /// group, head to tail, hits included: this call is what the eviction policy learns from.
  ///
  /// - Parameters:
  ///   - owner: a number for whoever asks, reported with leaked leases.
  ///   - shardCount: how many `commit`s make the pages visible, 1 to 64.
  ///   - outputTokens: how many tokens the request generated, nil if that is not known: the default policy decides better
  ///     with it.
  ///   - grants: one for every key.
  /// - Returns: the lease on the admitted slots, nil if none was admitted.
  /// - Throws: `outOfResources` when too many leases live, `busy` while the engine drains.
  public func beginStore(
    _ request: RequestID, _ keys: UnsafeBufferPointer<Key>, group: Int = 0, owner: UInt32 = 0, shardCount: Int = 1,
    outputTokens: Int? = nil, into grants: UnsafeMutableBufferPointer<StoreGrant>
  ) throws(RoostError) -> LeaseID? {
    let origin = RequestOrigin(
      request: request, owner: owner, time: configuration.clock.nanoseconds, outputTokenCount: outputTokens)
    let store = StoreRequest(
      origin: origin, keys: keys, slotClass: slotClass(group), shardCount: shardCount)
    return try state.withLock { state throws(RoostError) in
      guard !state.isDraining else { throw Engine.draining }
      if let pool { state.grow(store.slotClass, wanted: keys.count, limit: slotLimit, from: pool) }
      let lease = try state.table.beginStore(store, into: grants)
      writeRows(&state)
      if let lease { state.seals.begin(lease, keys, grants) }
      if let books = state.books { books.noteRequest(keys) { grants[$0].outcome == .held } }
      return lease
    }
  }

  /// Tells the eviction policy of a request that stores nothing.
  public func touch(
    _ request: RequestID, _ keys: UnsafeBufferPointer<Key>, group: Int = 0, outputTokens: Int? = nil
  ) {
    let origin = RequestOrigin(
      request: request, time: configuration.clock.nanoseconds, outputTokenCount: outputTokens)
    let slotClass = slotClass(group)
    state.withLock { state in
      state.table.touch(keys, slotClass, origin)
      writeRows(&state)
      // Those that are not in the pool are late, and counted so.
      if let books = state.books { books.noteRequest(keys) { _ in true } }
    }
  }

  /// A worker's shard of every page of a store has arrived, but for those named by `failed`. The pages become
  /// visible with the last shard, as soon as no copy runs under the lease. A late or repeated call is ignored and
  /// counted.
  ///
  /// - Parameter failed: pages that could not be copied: they are dropped, the others stay.
  @discardableResult public func commit(
    _ lease: LeaseID, shard: Int = 0, failed: [(slot: SlotNumber, generation: UInt32)] = []
  ) -> LeaseAnswer {
    if !failed.isEmpty { drop(failed) }
    let answer = state.withLock { state in
      // The workers' reports decide about a lease that is in their hands.
      guard !state.handOuts.contains(lease) else { return LeaseAnswer.stale }
      let answer = state.table.commit(lease, shard: shard)
      settle(lease, answer, &state)
      return answer
    }
    if answer == .published { afterPublishing() }
    return answer
  }

  /// The store failed: nothing of it becomes visible, and its slots are freed when no copy runs on them.
  @discardableResult public func abort(_ lease: LeaseID) -> LeaseAnswer { giveUp(lease) }

  func giveUp(_ lease: LeaseID) -> LeaseAnswer {
    let (answer, isHandedOut) = state.withLock { state in
      let answer = state.table.abort(lease)
      settle(lease, answer, &state)
      let isHandedOut = state.handOuts.contains(lease)
      if isHandedOut { withdraw([lease], &state) }
      return (answer, isHandedOut)
    }
    if isHandedOut { tellWorkers() }
    return answer
  }

  /// What follows from the answer to a message about a lease.
  func settle(_ lease: LeaseID, _ answer: LeaseAnswer, _ state: inout EngineState) {
    writeRows(&state)
    switch answer {
    case .published:
      let pages = state.seals.published(lease)
      if let books = state.books {
        books.notePublished(pages)
        tier?.wake()
      }
      evictBehind(&state)
    case .ended: state.seals.dropped(lease)
    case .noted, .stale: break
    }
  }

  private func evictBehind(_ state: inout EngineState) {
    guard let watermark = configuration.watermark else { return }
    for number in state.isExhausted.indices {
      _ = state.table.evict(above: watermark, SlotClass(rawValue: UInt8(number)))
    }
    writeRows(&state)
  }

  private func drop(_ pages: [(slot: SlotNumber, generation: UInt32)]) {
    state.withLock { state in
      for page in pages { state.table.discard(page.slot, generation: page.generation) }
      state.counters.failedBlocks += pages.count
      writeRows(&state)
    }
  }

  static var draining: RoostError {
    RoostError(.busy, "the cache is being emptied or closed; nothing begins until that is done")
  }
}
