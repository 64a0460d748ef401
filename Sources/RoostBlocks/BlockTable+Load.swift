import RoostPrimitives

extension BlockTable {
  /// Says for every key whether it can be loaded. Pure but for the counters: holds nothing, changes no order.
  ///
  /// - Returns: the length of the leading run of ready keys.
  @discardableResult public mutating func match(
    _ keys: UnsafeBufferPointer<Key>, into states: UnsafeMutableBufferPointer<KeyState>
  ) -> Int {
    let (ready, run) = self.states(of: keys, into: states)
    counters.lookups += keys.count
    counters.hits += ready
    counters.misses += keys.count - ready
    return run
  }

  /// The same without counting: for the engine's own questions.
  ///
  /// - Returns: how many keys are ready, and the length of their leading run.
  @discardableResult public mutating func states(
    of keys: UnsafeBufferPointer<Key>, into states: UnsafeMutableBufferPointer<KeyState>
  ) -> (readyCount: Int, run: Int) {
    precondition(states.count >= keys.count, "there must be a state for every key")
    look(keys)
    var ready = 0
    var run = 0
    for position in 0..<keys.count {
      var state = KeyState.absent
      if found[position] != .none {
        let slotState = records.pointer[Int(found[position].rawValue)].state
        state = slotState.isLoadable ? .ready : slotState == .writing ? .pending : .absent
      }
      if state == .ready {
        if run == position { run += 1 }
        ready += 1
      }
      states.initializeElement(at: position, to: state)
    }
    return (ready, run)
  }

  /// Holds the slots of the keys that can be loaded now, until `end`. The keys may belong to several groups.
  ///
  /// - Returns: the lease, nil if nothing can be loaded.
  /// - Throws: `outOfResources` when `Limits.leaseCountMax` leases live; nothing has happened then.
  public mutating func beginLoad(
    _ keys: UnsafeBufferPointer<Key>, _ origin: RequestOrigin, into grants: UnsafeMutableBufferPointer<LoadGrant>
  ) throws(RoostError) -> LeaseID? {
    precondition(grants.count >= keys.count, "there must be a grant for every key")
    try checkLeaseRoom()
    look(keys)
    granted.removeAll(keepingCapacity: true)
    for position in 0..<keys.count {
      var grant = LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: .max), generation: 0)
      let number = found[position]
      if number != .none {
        let record = records.pointer + Int(number.rawValue)
        if record.pointee.state.isLoadable {
          apply(.lease, to: number)
          record.pointee.holderCount += 1
          grant = LoadGrant(
            outcome: .leased, slot: SlotNumber(rawValue: record.pointee.slot), generation: record.pointee.generation)
          granted.append(number)
        }
      }
      grants.initializeElement(at: position, to: grant)
    }
    counters.leased += granted.count
    counters.missing += keys.count - granted.count
    guard !granted.isEmpty else { return nil }
    return leases.begin(LeaseState(kind: .load, shardCount: 0), origin, granted)
  }
}
