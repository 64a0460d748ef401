import RoostPrimitives

/// Messages about leases. They may come late, twice or from a process that is confused: what does not fit is counted
/// and ignored.
extension BlockTable {
  /// A worker's shard of every page of a store has arrived; with the last one the blocks are published, as soon as no
  /// fence of the lease is left.
  @discardableResult public mutating func commit(_ lease: LeaseID, shard: Int = 0) -> LeaseAnswer {
    handle(.shardArrived(shard), lease)
  }

  /// The store failed: its slots are freed, at once or when the copies that write them have ended.
  @discardableResult public mutating func abort(_ lease: LeaseID) -> LeaseAnswer { handle(.cancel, lease) }

  /// The load is over: its slots are let go, at once or when the copies that read them have ended.
  @discardableResult public mutating func end(_ lease: LeaseID) -> LeaseAnswer { handle(.cancel, lease) }

  /// The attachment starts copies on the lease's slots. After `stale` it must not. Calls are not counted: one
  /// `copiesEnded` says that none of the attachment's copies on this lease is running.
  @discardableResult public mutating func copiesBegan(_ lease: LeaseID, attachment: Int) -> LeaseAnswer {
    handle(.copiesBegan(attachment), lease)
  }

  /// None of the attachment's copies on the lease is running any more.
  @discardableResult public mutating func copiesEnded(_ lease: LeaseID, attachment: Int) -> LeaseAnswer {
    handle(.copiesEnded(attachment), lease)
  }

  /// The attachment's process is gone: its fences fall, and the stores that it was writing are given up.
  ///
  /// - Returns: the number of leases that were concerned.
  @discardableResult public mutating func attachmentGone(_ attachment: Int) -> Int {
    guard 0..<Limits.attachmentCountMax ~= attachment else { return 0 }
    var concerned = 0
    for number in 0..<leases.numberCount where leases.isLive(number) {
      guard leases[number].state.copying & 1 << UInt64(attachment) != 0 else { continue }
      concerned += 1
      act(on: number, .attachmentGone(attachment))
    }
    informPolicies()
    return concerned
  }

  /// Gives up every lease of a request: a leak, or a request that was cancelled. Slots under running copies follow
  /// when the copies have ended.
  ///
  /// - Returns: the number of leases that were given up.
  @discardableResult public mutating func reclaim(_ request: RequestID) -> Int {
    var concerned = 0
    for number in 0..<leases.numberCount where leases.isLive(number) && leases[number].origin.request == request {
      guard leases[number].state.phase != .draining else { continue }
      concerned += 1
      act(on: number, .cancel)
    }
    counters.reclaimed += concerned
    informPolicies()
    return concerned
  }

  /// Whether a lease lives.
  public func isLive(_ lease: LeaseID) -> Bool { leases.number(of: lease) != nil }

  /// What is to be told about a lease; nil if it is over. The age is left at 0.
  public func report(of lease: LeaseID) -> LeaseReport? {
    guard let number = leases.number(of: lease) else { return nil }
    let known = leases[number]
    return LeaseReport(
      id: lease, kind: known.state.kind, phase: known.state.phase, origin: known.origin, age: 0,
      slotCount: known.records.count, copying: known.state.copying)
  }

  /// The group of a lease's blocks; nil if it is over. Of a load over several groups, that of its first block.
  public func group(of lease: LeaseID) -> Int? {
    guard let number = leases.number(of: lease), let first = leases[number].records.first else { return nil }
    return Int(records[first].key.group)
  }

  /// Reports the leases that are at least `age` nanoseconds old at `time`, as many as the buffer holds.
  ///
  /// - Returns: how many there are, which may be more than the buffer holds.
  public func leases(
    olderThan age: UInt64, at time: UInt64, into reports: UnsafeMutableBufferPointer<LeaseReport>
  ) -> Int {
    var count = 0
    for number in 0..<leases.numberCount where leases.isLive(number) {
      let lease = leases[number]
      let reached = time >= lease.origin.time ? time - lease.origin.time : 0
      guard reached >= age else { continue }
      if count < reports.count {
        let report = LeaseReport(
          id: leases.id(of: number), kind: lease.state.kind, phase: lease.state.phase, origin: lease.origin,
          age: reached, slotCount: lease.records.count, copying: lease.state.copying)
        reports.initializeElement(at: count, to: report)
      }
      count += 1
    }
    return count
  }

  private mutating func handle(_ event: LeaseState.Event, _ lease: LeaseID) -> LeaseAnswer {
    guard let number = leases.number(of: lease) else {
      counters.stale += 1
      return .stale
    }
    let action = act(on: number, event)
    informPolicies()
    switch action {
    case .none, .hold: return .noted
    case .publish: return .published
    case .abort, .drain, .release: return .ended
    case .ignore:
      counters.stale += 1
      return .stale
    }
  }

  @discardableResult private mutating func act(on number: Int, _ event: LeaseState.Event) -> LeaseState.Action {
    let action = leases[number].state.handle(event)
    switch action {
    case .none, .ignore: break
    case .publish: applyToAll(of: number, .publish)
    case .abort: applyToAll(of: number, .abort)
    case .hold: applyToAll(of: number, .abortUnderCopy)
    case .drain: applyToAll(of: number, .drain)
    case .release: release(number)
    }
    if leases[number].state.phase == .ended { leases.finish(number) }
    return action
  }

  private mutating func applyToAll(of lease: Int, _ event: SlotEvent) {
    let held = leases[lease].records
    for position in held.indices {
      warm(held, position)
      apply(event, to: held[position])
    }
  }

  private mutating func release(_ lease: Int) {
    let held = leases[lease].records
    for position in held.indices {
      warm(held, position)
      let record = records.pointer + Int(held[position].rawValue)
      record.pointee.holderCount -= 1
      apply(record.pointee.holderCount == 0 ? .releaseLast : .release, to: held[position])
    }
  }

  /// Asks for the record that is needed some steps later, so that the misses overlap.
  @inline(__always) private func warm(_ held: UnsafeMutableBufferPointer<RecordNumber>, _ position: Int) {
    let ahead = position + Limits.prefetchDistance
    if ahead < held.count { prefetch(records.pointer + Int(held[ahead].rawValue)) }
  }
}
