import RoostBlocks
import RoostPool
import RoostPrimitives

/// Leases whose jobs reach the workers by a way that the engine does not see: a serving engine carries them in its own
/// metadata. The workers (`EmbeddedWorker`) report over the pool's connection, and the engine ends the leases by itself.
extension Engine {
  /// Says, before the job leaves, that the workers of shard 0 ..< `shardCount` of the lease's group - its blocks are all
  /// of one - will each report this lease once. Until they all have, or are gone, no slot of it is used again. Then a store is committed, or aborted if a shard failed as
  /// a whole, and a load is ended; `takeHandOuts` tells.
  ///
  /// `abort`, `end` and `reclaim` take the lease back: the workers are told, and the slots follow when all have
  /// confirmed.
  ///
  /// - Throws: `stale` if the lease is over, `invalidInput` if it was handed out before or `shardCount` is not 1 to 64.
  public func handOut(_ lease: LeaseID, shardCount: Int) throws(RoostError) {
    guard 1...64 ~= shardCount else {
      throw RoostError(.invalidInput, "a lease is handed out to 1 to 64 workers, not \(shardCount)")
    }
    try state.withLock { state throws(RoostError) in
      guard let report = state.table.report(of: lease), let group = state.table.group(of: lease) else {
        throw RoostError(.stale, "the lease is over", context: [("lease", "\(lease.rawValue)")])
      }
      guard !state.handOuts.contains(lease) else {
        throw RoostError(.invalidInput, "the lease is handed out already", context: [("lease", "\(lease.rawValue)")])
      }
      guard state.table.copiesBegan(lease, attachment: Limits.handOutAttachment) != .stale else {
        throw RoostError(.stale, "the lease is being given up", context: [("lease", "\(lease.rawValue)")])
      }
      let verb: CopyVerb = report.kind == .store ? .store : .load
      let settlement = state.handOuts.begin(
        lease, verb, report.origin.request, group: group, shardCount: shardCount)
      if let settlement { conclude(settlement, &state) }
    }
  }

  /// Takes the results of handed-out leases that are over, oldest first, at most `countMax`.
  public func takeHandOuts(countMax: Int) -> [HandOutResult] {
    state.withLock { state in
      guard state.concluded.first < state.concluded.results.count, countMax > 0 else { return [] }
      return state.concluded.take(countMax)
    }
  }

  /// Takes leases back that are in the hands of workers. Under the lock; `tellWorkers` follows without it.
  func withdraw(_ leases: some Sequence<LeaseID>, _ state: inout EngineState) {
    for lease in leases {
      let (tell, settlement) = state.handOuts.withdraw(lease)
      for worker in tell { state.untold.append(Withdrawal(worker: worker, lease: lease)) }
      if let settlement { conclude(settlement, &state) }
    }
  }

  /// Sends the withdrawals that wait. A worker that does not take messages is tried again by the thread that serves.
  func tellWorkers() {
    let waiting = state.withLock { state -> [Withdrawal] in
      guard !state.untold.isEmpty else { return [] }
      defer { state.untold.removeAll() }
      return state.untold
    }
    for withdrawal in waiting {
      do throws(RoostError) {
        try pool?.send(WorkerMessage.withdraw(withdrawal.lease).encoded(), to: withdrawal.worker)
      } catch {
        // One that is gone is reported so and owes nothing then.
        if error.code == .busy { state.withLock { $0.untold.append(withdrawal) } }
      }
    }
  }

  /// What follows when no worker copies under a lease any more.
  private func conclude(_ settlement: HandOutLedger.Settlement, _ state: inout EngineState) {
    let result = settlement.result
    if result.verb == .store, result.outcome == .done {
      for page in settlement.failedPages { state.table.discard(page.slot, generation: page.generation) }
      state.counters.failedBlocks += settlement.failedPages.count
      settle(result.lease, state.table.commit(result.lease), &state)
    } else {
      settle(result.lease, state.table.abort(result.lease), &state)
    }
    settle(result.lease, state.table.copiesEnded(result.lease, attachment: Limits.handOutAttachment), &state)
    state.concluded.add(result)
  }

  // MARK: Messages

  /// Handles what a worker says about leases. False: the message is about something else.
  func handleLeaseMessage(_ worker: AttachmentID, _ bytes: [UInt8]) -> Bool {
    guard WorkerMessage.concernsLeases(bytes) else { return false }
    guard let message = bytes.withUnsafeBytes({ WorkerMessage(decoding: $0) }) else {
      Log.write(.warning, "\(worker) sent \(bytes.count) bytes that make no sense; ignored")
      return true
    }
    switch message {
    case .hello: welcome(worker)
    case .serves(let group, let shard): state.withLock { $0.handOuts.serve(worker, group: group, shard: shard) }
    case .reported(let report):
      state.withLock { state in
        if let settlement = state.handOuts.report(report, from: worker) { conclude(settlement, &state) }
      }
      afterPublishing()
    default: break
    }
    return true
  }

  private func welcome(_ worker: AttachmentID) {
    let abandoned = state.withLock { state in
      state.handOuts.join(worker)
      return state.handOuts.abandoned
    }
    let sizes = configuration.groups.map(\.pageByteCount)
    // A worker without a welcome gives up by itself.
    try? pool?.send(WorkerMessage.welcome(pageByteCounts: sizes, abandoned: abandoned).encoded(), to: worker)
  }

  func handOutWorkerGone(_ worker: AttachmentID) {
    state.withLock { state in
      state.untold.removeAll { $0.worker == worker }
      for settlement in state.handOuts.leave(worker) { conclude(settlement, &state) }
    }
  }
}

/// A withdrawal that a worker is to be told of.
struct Withdrawal {
  var worker: AttachmentID
  var lease: LeaseID
}

/// Results that nobody has taken yet. Bounded: whoever does not poll loses the oldest.
struct ConcludedHandOuts {
  fileprivate(set) var results: [HandOutResult] = []
  fileprivate(set) var first = 0
  private(set) var droppedCount = 0

  mutating func add(_ result: HandOutResult) {
    results.append(result)
    guard results.count - first > Limits.concludedMax else { return }
    first += 1
    droppedCount += 1
    compact()
  }

  fileprivate mutating func take(_ countMax: Int) -> [HandOutResult] {
    let end = min(results.count, first + countMax)
    let taken = Array(results[first..<end])
    first = end
    compact()
    return taken
  }

  private mutating func compact() {
    guard first * 2 > results.count else { return }
    results.removeFirst(first)
    first = 0
  }
}
