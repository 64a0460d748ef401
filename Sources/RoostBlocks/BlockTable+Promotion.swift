import RoostPrimitives

extension BlockTable {
  /// Gives slots to pages that are to be filled from a tier, evicting others if need be. No event of a request: the
  /// policy learns of the pages as of a kept pool's, and of their use when the request stores or touches.
  ///
  /// Whoever wants pages of its own request to stay holds them: what is held is no victim. Nothing is visible before
  /// `commit`.
  ///
  /// - Parameter grants: for every key `held` - it is there, or being filled - `admitted` or `refused`.
  /// - Returns: the lease on the slots, of the kind of a store with one shard; nil if there are none.
  /// - Throws: `outOfResources` when `Limits.leaseCountMax` leases live; nothing has happened then.
  public mutating func beginPromotion(
    _ keys: UnsafeBufferPointer<Key>, _ slotClass: SlotClass, _ origin: RequestOrigin,
    into grants: UnsafeMutableBufferPointer<StoreGrant>
  ) throws(RoostError) -> LeaseID? {
    precondition(grants.count >= keys.count, "there must be a grant for every key")
    try checkLeaseRoom()
    look(keys)
    let wasThere = found.prefix(keys.count).map { $0 != .none && records[$0].isResident }
    let missing = wasThere.count { !$0 }
    let free = self.slotClass(slotClass).count(of: .free)
    if missing > free { makeRoom(missing - free, slotClass) }
    // The records of what was evicted may be gone.
    look(keys)
    granted.removeAll(keepingCapacity: true)
    var ghosts: [RecordNumber] = []
    for position in 0..<keys.count {
      var grant = StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: .max), generation: 0)
      // One that has just made room for others does not come back at once.
      let isGone = wasThere[position] && (found[position] == .none || !records[found[position]].isResident)
      if !isGone { grant = promote(keys[position], found[position], slotClass, &ghosts) }
      if grant.outcome == .admitted { counters.promoted += 1 }
      grants.initializeElement(at: position, to: grant)
    }
    informPolicies()
    let policy = self.slotClass(slotClass).policy
    if !ghosts.isEmpty { policy.removed(ghosts) }
    guard !granted.isEmpty else { return nil }
    policy.adopted(granted)
    return leases.begin(LeaseState(kind: .store, shardCount: 1), origin, granted)
  }

  /// Evicts, and tracks no more what went: the records are needed for what comes.
  private mutating func makeRoom(_ count: Int, _ slotClass: SlotClass) {
    guard evict(count, slotClass) > 0, self.slotClass(slotClass).keepsGhosts else { return }
    self.slotClass(slotClass).policy.removed(victims)
    for victim in victims { dropGhost(victim) }
  }

  private mutating func promote(
    _ key: Key, _ known: RecordNumber, _ slotClass: SlotClass, _ ghosts: inout [RecordNumber]
  ) -> StoreGrant {
    let refused = StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: .max), generation: 0)
    // A key that stands there twice has a record by now.
    let record = known != .none ? known : track(key, slotClass)
    guard record != .none else { return refused }
    guard !records[record].isResident else {
      return StoreGrant(outcome: .held, slot: SlotNumber(rawValue: .max), generation: 0)
    }
    let wasGhost = known != .none
    guard let grant = admit(record) else {
      if !wasGhost { dropGhost(record) }
      return refused
    }
    if wasGhost { ghosts.append(record) }
    granted.append(record)
    return grant
  }
}
