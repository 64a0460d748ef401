import Glibc
import RoostBlocks
import RoostPrimitives

/// A lease that lives, for reports.
public struct Leak: Sendable, Hashable, CustomStringConvertible {
  /// What the block table knows of it.
  public var lease: LeaseReport

  /// One line: kind, request, owner, age, slots, and whether copies run.
  public var description: String {
    let seconds = Double(lease.age) / 1e9
    let age = "\(Int(seconds)).\(Int(seconds * 10) % 10) s"
    let copies = lease.copying == 0 ? "" : ", copies running"
    return "\(lease.kind) lease of request \(lease.origin.request.rawValue), owner \(lease.origin.owner), "
      + "\(lease.slotCount) slots, \(age) old\(copies)"
  }
}

extension Engine {
  /// The leases that are at least `seconds` old: what a request that ended without a word has left behind.
  public func leases(olderThanSeconds seconds: Double = 0) -> [Leak] {
    let now = configuration.clock.nanoseconds
    return state.withLock { state in
      let age = UInt64(max(0, seconds) * 1e9)
      let count = state.table.leases(olderThan: age, at: now, into: UnsafeMutableBufferPointer(start: nil, count: 0))
      guard count > 0 else { return [] }
      return [LeaseReport](unsafeUninitializedCapacity: count) { buffer, filled in
        filled = min(count, state.table.leases(olderThan: age, at: now, into: buffer))
      }.map(Leak.init(lease:))
    }
  }

  /// Gives up every lease of a request. Slots under running copies follow when the copies have ended or their process
  /// is gone.
  ///
  /// - Returns: how many leases there were.
  @discardableResult public func reclaim(_ request: RequestID) -> Int {
    let count = state.withLock { state in
      if let books = state.books { letGo(books.prefetches.end(of: request), &state) }
      let count = state.table.reclaim(request)
      withdraw(state.handOuts.leases(of: request), &state)
      state.seals.prune { state.table.isLive($0) }
      writeRows(&state)
      return count
    }
    tellWorkers()
    return count
  }

  /// Forgets every block of an identity: none is found from now on, and the bytes of those that no lease holds are
  /// overwritten with zeroes before this returns; of the others when their leases, and copies that outlive them, end.
  /// Slots that were freed earlier, by eviction or an aborted store, are not touched: they keep their bytes until they
  /// are used again, because nobody knows any more whose they are.
  ///
  /// In a tier the pages are removed before this returns, which may take until `Limits.forgetBelowSeconds`.
  ///
  /// - Returns: how many pages of the pool were forgotten.
  @discardableResult public func forget(_ identity: IdentityID) -> Int {
    let digests = state.withLock { [$0.identities[identity]] }
    beginForgettingBelow()
    var position = 0
    var forgotten = 0
    let pageBytes = configuration.groups.map(\.pageByteCount).max() ?? 1
    let pageCountMax = max(1, Limits.eraseTurnBytes / pageBytes)
    // In turns, so that requests wait for the zeroing of a few pages, not of all.
    while position < .max {
      forgotten += state.withLock { state in
        guard !state.isClosed else {
          position = .max
          return 0
        }
        let count = state.table.forget(
          identity, from: &position, recordCountMax: Limits.forgetTurnRecords, pageCountMax: pageCountMax)
        writeRows(&state, .erasing)
        return count
      }
    }
    do throws(RoostError) {
      try finishForgettingBelow(digests, until: .after(seconds: Limits.forgetBelowSeconds))
    } catch {
      Log.write(.error, "forget: \(error)")
    }
    return forgotten
  }

  /// Empties the cache: waits for the leases to end, then forgets everything, in a tier every identity that this engine
  /// knows. While it waits nothing begins.
  ///
  /// - Throws: `timedOut` if leases live at the deadline (the message lists them), and nothing is forgotten then; or if
  ///   the tier has not removed everything.
  public func reset(until deadline: Deadline) throws(RoostError) {
    state.withLock { state in
      state.isDraining = true
      state.isResetting = true
      endPrefetches(&state)
    }
    defer {
      state.withLock { state in
        state.isResetting = false
        if !state.isClosing { state.isDraining = false }
      }
    }
    let leaks = drain(until: deadline, sealsToo: true)
    guard leaks.isEmpty else { throw Engine.busy("reset", leaks) }
    try state.withLock { state throws(RoostError) in
      try state.table.reset()
      state.seals.reset()
      state.unchecked.removeAll()
      writeRows(&state)
    }
    let digests = state.withLock { state in
      state.books?.forgetQueue()
      return state.identities.digests
    }
    beginForgettingBelow()
    try finishForgettingBelow(digests, until: deadline)
  }

  /// Waits for the leases to end, reports those that do not, and closes the pool. Pages of a kept pool are sealed
  /// first. The engine cannot be used any more. A tier that hangs is left behind some seconds after the deadline.
  ///
  /// - Returns: the leases that lived at the deadline: leaks.
  @discardableResult public func close(until deadline: Deadline) -> [Leak] {
    state.withLock { state in
      state.isDraining = true
      state.isClosing = true
      endPrefetches(&state)
    }
    let leaks = drain(until: deadline)
    for leak in leaks { Log.write(.warning, "closed with a live lease: \(leak)") }
    // The sealer first, so that the batch in its hands is written before the rows are out of reach.
    stopThreads()
    if sealsBehind { while !deadline.hasPassed(), sealBatch() {} }
    let isTierClosed = closeTier(until: deadline)
    let (isFirst, isCopying) = state.withLock { state in
      defer { state.isClosed = true }
      return (!state.isClosed, state.fences.hasJobs(in: Limits.localAttachment))
    }
    guard isFirst else { return leaks }
    let service = service.withLock { $0.take() }
    service?.end()
    defer { service?.join() }
    routes.withLock { $0.routes.removeAll() }
    if isCopying || !isTierClosed, let pool {
      // Something of this process still writes into slots: nobody may own the pool before it has ended.
      Log.write(.error, "closed while copies run or a tier hangs; the pool stays locked until this process ends")
      _ = Unmanaged.passRetained(pool)
    } else {
      pool?.close()
    }
    return leaks
  }

  func stopThreads() {
    sealer.withLock { $0.take() }?.stop()
  }

  private func drain(until deadline: Deadline, sealsToo: Bool = false) -> [Leak] {
    while true {
      pump()
      if tier?.setup.driving == .caller { turnTier() }
      let leaks = leases().filter { leak in
        let request = leak.lease.origin.request
        return sealsToo || (request != Engine.sealingRequest && request != Engine.tierRequest)
      }
      if leaks.isEmpty || deadline.hasPassed() { return leaks }
      usleep(Limits.drainPollMicroseconds)
    }
  }

  private static func busy(_ verb: String, _ leaks: [Leak]) -> RoostError {
    let list = leaks.prefix(3).map(\.description).joined(separator: "; ")
    return RoostError(
      .timedOut, "the cache cannot \(verb) while \(leaks.count) leases live: \(list)",
      context: [("leases", "\(leaks.count)")])
  }
}
