import RoostPrimitives

/// A request that wants to store its blocks.
public struct StoreRequest {
  /// Who, for which request, when.
  public var origin: RequestOrigin
  /// All blocks of the request, head to tail, those that are stored already included. Read during the call only.
  public var keys: UnsafeBufferPointer<Key>
  /// Where pages of these keys lie.
  public var slotClass: SlotClass
  /// How many shards must report before the blocks are published.
  public var shardCount: Int

  /// Describes a store.
  public init(origin: RequestOrigin, keys: UnsafeBufferPointer<Key>, slotClass: SlotClass, shardCount: Int = 1) {
    self.origin = origin
    self.keys = keys
    self.slotClass = slotClass
    self.shardCount = shardCount
  }
}

extension BlockTable {
  /// Finds room for the blocks of a request that are not stored yet, evicting others if need be, and tells the policy
  /// about the request: this is its one event, so all blocks are given, hits included.
  ///
  /// Never evicts a block of the request itself. What cannot all fit is admitted from the head, and victims are
  /// chosen only for what is admitted. Nothing is visible before `commit`. A key that another request is storing is
  /// `held`; if that store fails, the block is simply missing.
  ///
  /// - Returns: the lease on the admitted slots, nil if there are none.
  /// - Throws: `outOfResources` when `Limits.leaseCountMax` leases live; nothing has happened then.
  public mutating func beginStore(
    _ request: StoreRequest, into grants: UnsafeMutableBufferPointer<StoreGrant>
  ) throws(RoostError) -> LeaseID? {
    precondition(grants.count >= request.keys.count, "there must be a grant for every key")
    try checkLeaseRoom()
    let event = prepare(request.keys, request.slotClass, request.origin, stores: true)
    victims.removeAll(keepingCapacity: true)
    let policy = classes[Int(request.slotClass.rawValue)].policy
    let wanted = blocks.withUnsafeBufferPointer { policy.decide(event.over($0), victims: &victims) }
    evictVictims(request.slotClass)
    makeRecords(event, request.keys, request.slotClass)
    admitNewcomers(request, at: min(wanted, event.admissionMax), into: grants)
    settle(event, request.keys, request.slotClass)
    informPolicies()
    guard !granted.isEmpty else { return nil }
    let state = LeaseState(kind: .store, shardCount: request.shardCount)
    return leases.begin(state, request.origin, granted)
  }

  /// Tells the policy about a request that stores nothing: its blocks are used, none is let in.
  public mutating func touch(_ keys: UnsafeBufferPointer<Key>, _ slotClass: SlotClass, _ origin: RequestOrigin) {
    let event = prepare(keys, slotClass, origin, stores: false)
    victims.removeAll(keepingCapacity: true)
    let policy = classes[Int(slotClass.rawValue)].policy
    _ = blocks.withUnsafeBufferPointer { policy.decide(event.over($0), victims: &victims) }
    evictVictims(slotClass)
    makeRecords(event, keys, slotClass)
    settle(event, keys, slotClass)
    informPolicies()
  }

  /// Evicts up to `count` blocks that nobody holds, for eviction in the background.
  ///
  /// - Returns: how many were evicted.
  public mutating func evict(_ count: Int, _ slotClass: SlotClass) -> Int {
    let owner = self.slotClass(slotClass)
    let possible = min(count, owner.count(of: .ready))
    guard possible > 0 else { return 0 }
    victims.removeAll(keepingCapacity: true)
    owner.policy.evict(possible, BlockStates(records), victims: &victims)
    evictVictims(slotClass)
    return victims.count
  }

  /// Evicts what lies above a watermark, at most its ratio in one go.
  ///
  /// - Returns: how many blocks were evicted.
  public mutating func evict(above watermark: Watermark, _ slotClass: SlotClass) -> Int {
    let owner = self.slotClass(slotClass)
    let used = owner.capacity - owner.count(of: .free)
    return evict(watermark.excess(used: used, capacity: owner.capacity), slotClass)
  }

  func checkLeaseRoom() throws(RoostError) {
    guard leases.hasRoom else {
      throw RoostError(
        .outOfResources, "too many leases live; reclaim those of requests that are over",
        context: [("leases", "\(leases.liveCount)")])
    }
  }

  /// Looks the keys up and says what the request means for its class. Fills `blocks`.
  private mutating func prepare(
    _ keys: UnsafeBufferPointer<Key>, _ slotClass: SlotClass, _ origin: RequestOrigin, stores: Bool
  ) -> RequestEvent {
    let owner = self.slotClass(slotClass)
    look(keys)
    blocks.removeAll(keepingCapacity: true)
    blocks.reserveCapacity(keys.count)
    var newcomers = 0
    var ownEvictable = 0
    for number in found.prefix(keys.count) {
      var block = RequestBlock(record: number, standing: .untracked)
      if number != .none {
        let record = records.pointer + Int(number.rawValue)
        precondition(record.pointee.slotClass == slotClass.rawValue, "a group's pages lie in one slot class")
        block.standing = record.pointee.isResident ? .held : .ghost
        if record.pointee.state == .ready { ownEvictable += 1 }
      }
      if block.standing != .held { newcomers += 1 }
      blocks.append(block)
    }
    var room = max(0, owner.count(of: .free) + owner.count(of: .ready) - ownEvictable)
    if storeFilter != nil { room = min(room, filter(keys)) }
    return RequestEvent(
      origin: origin, states: BlockStates(records), capacity: owner.capacity,
      freeSlotCount: owner.count(of: .free), newcomerCount: newcomers,
      admissionMax: stores ? min(newcomers, room) : 0)
  }

  /// Counts the request's keys in the filter. Returns how many newcomers stand before the first one that has not been
  /// asked for often enough: behind that nothing could be used.
  private mutating func filter(_ keys: UnsafeBufferPointer<Key>) -> Int {
    var passed = 0
    var isOpen = true
    for position in keys.indices {
      let isKnown = storeFilter?.count(keys[position]) ?? true
      guard isOpen, blocks[position].standing != .held else { continue }
      if isKnown { passed += 1 } else { isOpen = false }
    }
    return passed
  }

  /// Looks up keys into `found`.
  mutating func look(_ keys: UnsafeBufferPointer<Key>) {
    if found.count < keys.count {
      found.append(contentsOf: repeatElement(.none, count: keys.count - found.count))
    }
    found.withUnsafeMutableBufferPointer { buffer in
      if let start = buffer.baseAddress { index.find(keys, into: start) }
    }
  }

  /// Drops the ghosts that the policy gives up for the request's newcomers.
  private mutating func makeRecords(
    _ event: RequestEvent, _ keys: UnsafeBufferPointer<Key>, _ slotClass: SlotClass
  ) {
    let owner = self.slotClass(slotClass)
    guard owner.keepsGhosts else { return }
    dropped.removeAll(keepingCapacity: true)
    blocks.withUnsafeBufferPointer { owner.policy.makeRecords(event.over($0), dropped: &dropped) }
    for ghost in dropped { dropGhost(ghost) }
    guard !dropped.isEmpty, keys.count > event.capacity else { return }
    // The end of a request that is longer than the pool may have been among them.
    for position in event.capacity..<keys.count where blocks[position].standing == .ghost {
      guard index.find(keys[position]) == .none else { continue }
      blocks[position] = RequestBlock(record: .none, standing: .untracked)
    }
  }

  /// Gives slots to the first `limit` newcomers and answers for every key. Fills `granted`.
  private mutating func admitNewcomers(
    _ request: StoreRequest, at limit: Int, into grants: UnsafeMutableBufferPointer<StoreGrant>
  ) {
    granted.removeAll(keepingCapacity: true)
    let nowhere = SlotNumber(rawValue: .max)
    for position in 0..<request.keys.count {
      let ahead = position + Limits.prefetchDistance
      if ahead < request.keys.count, blocks[ahead].standing == .untracked { index.warm(request.keys[ahead]) }
      var grant = StoreGrant(outcome: .held, slot: nowhere, generation: 0)
      if blocks[position].standing != .held {
        grant.outcome = .refused
        if granted.count < limit {
          grant = admitNewcomer(request.keys[position], request.slotClass, position) ?? grant
        } else if !granted.isEmpty, isTwice(request.keys[position], position) {
          grant.outcome = .held
        }
      }
      switch grant.outcome {
      case .held: counters.held += 1
      case .refused: counters.refused += 1
      case .admitted:
        counters.admitted += 1
        granted.append(blocks[position].record)
      }
      grants.initializeElement(at: position, to: grant)
    }
    counters.offered += request.keys.count
  }

  /// Admits a newcomer, with a record made for it if it has none. Nil: there is no room after all.
  private mutating func admitNewcomer(_ key: Key, _ slotClass: SlotClass, _ position: Int) -> StoreGrant? {
    if blocks[position].record == .none { blocks[position].record = track(key, slotClass) }
    let number = blocks[position].record
    guard number != .none else { return nil }
    if records[number].isResident {
      // The same key stands in the request twice.
      blocks[position].standing = .held
      return StoreGrant(outcome: .held, slot: SlotNumber(rawValue: .max), generation: 0)
    }
    if let grant = admit(number) {
      blocks[position].standing = .admitted
      return grant
    }
    if classes[Int(slotClass.rawValue)].keepsGhosts {
      blocks[position].standing = .ghost
    } else {
      dropGhost(number)
      blocks[position].record = .none
    }
    return nil
  }

  /// Whether a newcomer was admitted earlier in the same request, because its key stands there twice.
  private mutating func isTwice(_ key: Key, _ position: Int) -> Bool {
    let number = blocks[position].record != .none ? blocks[position].record : index.find(key)
    guard number != .none, records[number].isResident else { return false }
    blocks[position].record = number
    blocks[position].standing = .held
    return true
  }

  /// Shows the policy the outcome, and drops the ghosts that it gives up.
  private mutating func settle(_ event: RequestEvent, _ keys: UnsafeBufferPointer<Key>, _ slotClass: SlotClass) {
    let owner = self.slotClass(slotClass)
    if owner.keepsGhosts {
      // Of a request longer than the pool nothing beyond its length could ever be used.
      for position in blocks.indices.prefix(event.capacity) where blocks[position].standing == .untracked {
        blocks[position].record = track(keys[position], slotClass)
        if blocks[position].record != .none { blocks[position].standing = .ghost }
      }
    }
    dropped.removeAll(keepingCapacity: true)
    blocks.withUnsafeBufferPointer { owner.policy.settle(event.over($0), dropped: &dropped) }
    for ghost in dropped { dropGhost(ghost) }
  }

  /// The record of a key, made as a ghost's if there is none; `none` when all records are in use.
  mutating func track(_ key: Key, _ slotClass: SlotClass) -> RecordNumber {
    guard let number = records.take(key, slotClass: slotClass.rawValue) else { return .none }
    if let known = index.insert(key, number) {
      records.release(number)
      return known
    }
    records.pointer[Int(number.rawValue)].isIndexed = true
    classes[Int(slotClass.rawValue)].ghostCount += 1
    return number
  }
}
