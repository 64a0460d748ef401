import RoostPrimitives

/// What a table is made for.
public struct BlockTableConfiguration: Sendable {
  /// Slot numbers are below this. Memory is reserved for all of them and used as they are added.
  public var slotCountMax: Int
  /// How many slot size classes there are.
  public var slotClassCount: Int
  /// What decides who stays, made once for each class.
  public var policy: PolicyFactory
  /// Requests that a block must stand in before it is stored, that one included; 1: every block may be stored at once.
  public var storeRequestCountMin = 1
  /// Whether `drainChanges` reports; without a pool there is nobody to tell.
  public var reportsChanges: Bool

  /// Describes a table.
  public init(slotCountMax: Int, slotClassCount: Int = 1, policy: PolicyFactory, reportsChanges: Bool = true) {
    self.slotCountMax = slotCountMax
    self.slotClassCount = slotClassCount
    self.policy = policy
    self.reportsChanges = reportsChanges
  }
}

/// The control plane: which block lies in which slot, who holds it, and who goes next.
///
/// A pure state machine over slot numbers: it touches no page, knows no device, asks no clock and never waits. Every
/// verb takes and answers arrays; buffers for answers come from the caller and have an entry for every key. After a
/// verb, `drainChanges` tells which rows of the pool's slot table are to be written.
///
/// Not thread-safe: the engine's driver holds a lock around it. Where a verb takes a slot class, all keys must belong
/// to groups of that class; classes have slots and a policy of their own.
public struct BlockTable: ~Copyable {
  var records: BlockRecords
  var index: BlockIndex
  var slots: Slots
  var leases = Leases()
  var storeFilter: StoreFilter?
  private let storeFilterBytes: Int
  let classes: UnsafeMutablePointer<SlotClassState>
  let classCount: Int
  let policyFactory: PolicyFactory
  var counters = BlockStatistics()

  // Scratch of the verbs, kept so that they allocate nothing in the long run.
  var found: [RecordNumber] = []
  var blocks: [RequestBlock] = []
  var victims: [RecordNumber] = []
  var dropped: [RecordNumber] = []
  var granted: [RecordNumber] = []

  /// Makes a table without slots.
  ///
  /// - Throws: `invalidInput` for counts beyond `Limits`, `outOfResources` when there is not enough address space.
  public init(_ configuration: BlockTableConfiguration) throws(RoostError) {
    let slotCount = configuration.slotCountMax
    let (multiple, overflow) = slotCount.multipliedReportingOverflow(by: configuration.policy.recordsPerSlot)
    let recordCount = multiple &+ min(slotCount, configuration.policy.recordsPerRequest)
    guard 1...Limits.slotCountMax ~= slotCount, !overflow, 1...Limits.recordCountMax ~= recordCount else {
      throw RoostError(
        .invalidInput, "a block table has 1 to \(Limits.slotCountMax) slots; use larger blocks or less memory",
        context: [("slots", "\(slotCount)")])
    }
    guard 1...Limits.slotClassCountMax ~= configuration.slotClassCount else {
      throw RoostError(
        .invalidInput, "a pool has 1 to \(Limits.slotClassCountMax) slot size classes",
        context: [("classes", "\(configuration.slotClassCount)")])
    }
    var policies: [any EvictionPolicy] = []
    for _ in 0..<configuration.slotClassCount { policies.append(try configuration.policy.make(recordCount)) }
    let records = try BlockRecords(count: recordCount)
    let index = try BlockIndex(entryCountMax: recordCount, records: records)
    let slots = try Slots(count: slotCount, reportsChanges: configuration.reportsChanges)
    guard 1...Limits.storeRequestCountMax ~= configuration.storeRequestCountMin else {
      throw RoostError(
        .invalidInput, "a block is stored after 1 to \(Limits.storeRequestCountMax) requests for it",
        context: [("requests", "\(configuration.storeRequestCountMin)")])
    }
    let filter = try StoreFilter.make(configuration)
    storeFilterBytes = configuration.storeRequestCountMin > 1 ? StoreFilter.bytes(slotCount: slotCount) : 0
    self.records = records
    self.index = index
    self.slots = slots
    storeFilter = filter
    policyFactory = configuration.policy
    classCount = policies.count
    classes = .allocate(capacity: policies.count)
    for (number, policy) in policies.enumerated() {
      (classes + number).initialize(to: SlotClassState(policy: policy, keepsGhosts: policy.keepsGhosts))
    }
  }

  deinit {
    classes.deinitialize(count: classCount)
    classes.deallocate()
  }

  /// Bytes of metadata reserved for each slot, all of it: records, index, rows, journal, policy.
  public var bytesPerSlot: Double {
    var bytes = records.reservedBytes + index.reservedBytes + slots.reservedBytes
    bytes += storeFilterBytes
    for number in 0..<classCount { bytes += classes[number].policy.reservedBytes }
    return Double(bytes) / Double(slots.capacity)
  }

  /// A snapshot of the counters.
  public var statistics: BlockStatistics {
    var result = counters
    result.leases = leases.liveCount
    for number in 0..<classCount {
      result.capacity += classes[number].capacity
      result.free += classes[number].count(of: .free)
      result.evictable += classes[number].count(of: .ready)
      result.unkeyed += classes[number].count(of: .retiring) + classes[number].count(of: .reclaiming)
      result.ghosts += classes[number].ghostCount
    }
    result.allocated = result.capacity - result.free
    result.resident = result.allocated - result.unkeyed
    return result
  }

  /// How many slots of a class are in a state.
  public func slotCount(_ slotClass: SlotClass, in state: SlotState) -> Int {
    self.slotClass(slotClass).count(of: state)
  }

  /// How many slots a class has.
  public func capacity(_ slotClass: SlotClass) -> Int { self.slotClass(slotClass).capacity }

  /// The policy of a class, for what it alone can tell.
  public func policy(_ slotClass: SlotClass) -> any EvictionPolicy { self.slotClass(slotClass).policy }

  /// Writes what changed since the last call to `changes` and returns how many there are; call again until that is
  /// less than the buffer holds. A slot that changed twice is reported once, as it is now.
  public mutating func drainChanges(into changes: UnsafeMutableBufferPointer<SlotChange>) -> Int {
    var count = 0
    while count < changes.count, let slot = slots.nextChange() {
      let row = slots[slot]
      var change = SlotChange(slot: SlotNumber(rawValue: slot), state: .free, generation: row.generation, key: nil)
      if row.standing == .occupied {
        let record = records[RecordNumber(rawValue: row.link)]
        change.state = record.state == .leased ? .ready : record.state
        if record.state.isFindable { change.key = record.key }
      }
      changes.initializeElement(at: count, to: change)
      count += 1
    }
    return count
  }

  func slotClass(_ slotClass: SlotClass) -> SlotClassState {
    precondition(slotClass.rawValue < classCount, "the table has no such slot class")
    return classes[Int(slotClass.rawValue)]
  }
}

/// The slots of one size.
struct SlotClassState {
  let policy: any EvictionPolicy
  let keepsGhosts: Bool
  var firstFree = Slots.none
  var ghostCount = 0
  private var stateCounts = InlineArray<6, Int>(repeating: 0)
  /// Blocks to tell the policy about at the end of the verb.
  var released: [RecordNumber] = []
  var removed: [RecordNumber] = []

  init(policy: any EvictionPolicy, keepsGhosts: Bool) {
    self.policy = policy
    self.keepsGhosts = keepsGhosts
  }

  func count(of state: SlotState) -> Int { stateCounts[Int(state.rawValue)] }

  var capacity: Int {
    var sum = 0
    for state in stateCounts.indices { sum += stateCounts[state] }
    return sum
  }

  mutating func addSlots(_ count: Int) { stateCounts[Int(SlotState.free.rawValue)] += count }

  @inline(__always) mutating func move(from old: SlotState, to new: SlotState) {
    stateCounts[Int(old.rawValue)] -= 1
    stateCounts[Int(new.rawValue)] += 1
  }
}
