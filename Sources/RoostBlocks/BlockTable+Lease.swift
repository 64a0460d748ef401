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
          age: reached, slotCount: lease.slots.count, copying: lease.state.copying)
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
    case .publish: publish(leases[number].slots)
    case .abort: applyToAll(leases[number].slots, .abort)
    case .hold: applyToAll(leases[number].slots, .abortUnderCopy)
    case .drain: applyToAll(leases[number].slots, .drain)
    case .release: release(leases[number].slots)
    }
    if leases[number].state.phase == .ended { leases.finish(number) }
    return action
  }

  private mutating func publish(_ slots: UnsafeMutableBufferPointer<UInt32>) {
    for slot in slots where apply(.publish, to: recordNumber(slot)) == .ready { counters.published += 1 }
  }

  private mutating func applyToAll(_ slots: UnsafeMutableBufferPointer<UInt32>, _ event: SlotEvent) {
    for slot in slots { apply(event, to: recordNumber(slot)) }
  }

  private mutating func release(_ slots: UnsafeMutableBufferPointer<UInt32>) {
    for slot in slots {
      let number = recordNumber(slot)
      let record = records.pointer + Int(number.rawValue)
      record.pointee.holderCount -= 1
      apply(record.pointee.holderCount == 0 ? .releaseLast : .release, to: number)
    }
  }

  private func recordNumber(_ slot: UInt32) -> RecordNumber { RecordNumber(rawValue: slots[slot].link) }
}
