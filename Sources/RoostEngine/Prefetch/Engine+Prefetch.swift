import RoostBlocks
import RoostPool
import RoostPrimitives
import RoostStorage

extension Engine {
  /// Brings pages that lie in the tier into the pool, behind, and holds them and those that are there already until
  /// the request's `beginLoad`, its end (`reclaim`, `endPrefetch`), or the deadline. The keys may belong to several
  /// groups; those of a group head to tail. Returns at once.
  ///
  /// Pages that do not arrive - missing, damaged, late, or without room - are misses: ask `match` when `progress` says
  /// that it is over, or the deadline has passed, and take what is ready.
  ///
  /// - Throws: `busy` while the engine drains, `outOfResources` when too many leases live.
  public func prefetch(
    _ request: RequestID, _ keys: UnsafeBufferPointer<Key>, until deadline: Deadline
  ) throws(RoostError) -> PrefetchAnswer {
    guard let tier else { return .nothingBelow }
    let wanted = wantedBelow(keys, tier)
    guard !wanted.isEmpty else { return .nothingBelow }
    let origin = RequestOrigin(request: request, time: configuration.clock.nanoseconds)
    let answer = try state.withLock { state throws(RoostError) -> PrefetchAnswer in
      guard !state.isDraining else { throw Engine.draining }
      guard let books = state.books else { return .nothingBelow }
      guard decide(wanted, books, tier) == .load else {
        books.counts.recomputes += 1
        return .recompute
      }
      let hold = try holdReady(keys, origin, &state)
      books.counts.prefetches += 1
      return .started(books.prefetches.begin(request, wanted, until: deadline.nanoseconds, hold: hold))
    }
    tier.wake()
    return answer
  }

  /// How far a prefetch is; nil if it has ended.
  public func progress(of prefetch: PrefetchID) -> PrefetchProgress? {
    state.withLock { $0.books?.prefetches.progress(of: prefetch) }
  }

  /// The caller wants the pages no more: they are let go. What is on its way arrives all the same.
  public func endPrefetch(_ prefetch: PrefetchID) {
    state.withLock { state in
      guard let books = state.books else { return }
      let holds = books.prefetches.end(prefetch)
      letGo(holds, &state)
    }
  }

  // MARK: Match

  /// Turns `absent` into `below` for what the tier has. Without the lock.
  func markBelow(
    _ keys: UnsafeBufferPointer<Key>, _ states: UnsafeMutableBufferPointer<KeyState>, _ tier: TierLink
  ) {
    guard tier.isReady else { return }
    let absent = keys.indices.filter { states[$0] == .absent }
    guard !absent.isEmpty else { return }
    let names = state.withLock { state -> [PageName] in
      guard state.books?.forgettingCount == 0 else { return [] }
      return absent.map { pageName(keys[$0], state) }
    }
    guard !names.isEmpty else { return }
    var found: [Bool] = []
    tier.setup.tier.peek(names, into: &found)
    for (position, isFound) in zip(absent, found) where isFound { states[position] = .below }
  }

  /// The keys that a prefetch has to wait for: below, or on their way already.
  private func wantedBelow(_ keys: UnsafeBufferPointer<Key>, _ tier: TierLink) -> [Key] {
    let states = UnsafeMutableBufferPointer<KeyState>.allocate(capacity: keys.count)
    defer { states.deallocate() }
    let promoting = state.withLock { state -> Set<Int> in
      state.table.states(of: keys, into: states)
      return Set(
        keys.indices.filter { states[$0] == .pending && state.books?.prefetches.isPromoting(keys[$0]) == true })
    }
    markBelow(keys, states, tier)
    return keys.indices.filter { states[$0] == .below || promoting.contains($0) }.map { keys[$0] }
  }

  private func decide(_ wanted: [Key], _ books: TierBooks, _ tier: TierLink) -> LoadDecision {
    guard let prefill = tier.setup.prefillTokensPerSecond else { return .load }
    var bytes = 0
    var tokens = [Int](repeating: 0, count: configuration.groups.count)
    for key in wanted {
      let group = configuration.groups[Int(key.group)]
      bytes += group.pageByteCount
      tokens[Int(key.group)] += group.tokensPerBlock
    }
    return .choose(
      LoadDecision.Question(
        byteCount: bytes, queuedByteCount: books.queuedByteCount,
        bytesPerSecond: books.speed.bytesPerSecond(at: configuration.clock.nanoseconds),
        tokenCount: tokens.max() ?? 0, prefillTokensPerSecond: prefill))
  }

  /// Holds what is ready of some keys, lest the room for the others is made of it.
  private func holdReady(
    _ keys: UnsafeBufferPointer<Key>, _ origin: RequestOrigin, _ state: inout EngineState
  ) throws(RoostError) -> LeaseID? {
    var grants = [LoadGrant](
      repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: .max), generation: 0), count: keys.count)
    return try grants.withUnsafeMutableBufferPointer { grants throws(RoostError) in
      try state.table.beginLoad(keys, origin, into: grants)
    }
  }

  /// Ends the leases of tickets that have ended.
  func letGo(_ holds: [LeaseID], _ state: inout EngineState) {
    for lease in holds { settle(lease, state.table.end(lease), &state) }
  }

  /// Ends all prefetches: nothing waits any more.
  func endPrefetches(_ state: inout EngineState) {
    guard let books = state.books else { return }
    letGo(books.prefetches.endAll(), &state)
  }

  func expirePrefetches() {
    let now = configuration.clock.nanoseconds
    state.withLock { state in
      guard let books = state.books else { return }
      letGo(books.prefetches.expire(at: now), &state)
    }
  }
}
