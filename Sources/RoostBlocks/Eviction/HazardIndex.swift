import RoostPrimitives

/// The default policy: keeps the blocks that earn the most hits for each second in a slot, and does not let in what
/// earns less than what would have to go.
///
/// Each block has a class, fixed at its last touch; for each class the policy learns online at which ages blocks come
/// back (`HazardModel`). It evicts the lowest index, leaves first, and refuses a newcomer whose index is below its
/// victim's. One set of constants serves everything; nothing is tuned to a workload. A shadow of LRU tells at every
/// request how that would have done; when it has been ahead by a cache-full, the policy acts as LRU for a while.
///
/// Ghosts: at most twice the slots. Time: O(1) a block, O(log n) a ghost, and a sort of the non-empty segments for
/// a request that evicts. docs/guides/choosing-a-policy.md has the figures.
public final class HazardIndex: EvictionPolicy {
  /// `hazard`: a resident, a full ghost and a thinned ghost a slot, and the blocks of one request: 4096 of them, 64 Ki
  /// tokens in blocks of 16. When longer ones come, ghosts make room for them.
  public static let factory = PolicyFactory(name: "hazard", recordsPerSlot: 3, recordsPerRequest: 1 << 12) {
    recordCount throws(RoostError) in try HazardIndex(recordCount: recordCount)
  }

  let storage: ReservedArray<HazardBlock>
  let blocks: UnsafeMutablePointer<HazardBlock>
  var segments: HazardSegments
  var model = HazardModel()
  var guardState = HazardGuard()
  var fullGhosts = GhostHeap()
  var thinGhosts = GhostHeap()
  /// Parked parents that have become leaves.
  var freed: [UInt32] = []
  /// The request between `decide` and `settle`.
  var plan = RequestPlan()
  /// Reused by `makeRoom`.
  var candidates: [Candidate] = []
  var residentCount = 0
  var ghostCount = 0
  var thinnedCount = 0
  var requestCount = 0
  var longestRequest = 0
  var sequence: UInt64 = 0
  var now = 0.0

  /// What `decide` finds out for `settle`.
  struct RequestPlan {
    /// How many of the request's blocks count: at most the capacity.
    var length = 0
    /// Touches of each block, this one included.
    var touches: [UInt8] = []
    /// Kinds of "new blocks" and "gap" of the request, as one number.
    var kind = 0
    /// Held blocks beyond `length`, of a request longer than the pool: they must not go either.
    var excess: [UInt32] = []
    /// Touches are numbered from here.
    var start: UInt64 = 0
  }

  /// The number of a block that is out of every list while its request is being decided.
  static let taken = UInt64.max

  /// A segment that may lose a block.
  struct Candidate {
    var index: Double
    var bin: Int
    var hazardClass: Int
  }

  /// Makes a policy for record numbers below `recordCount`.
  ///
  /// - Throws: `outOfResources` when there is not enough address space.
  public init(recordCount: Int) throws(RoostError) {
    storage = try ReservedArray(count: recordCount)
    blocks = storage.pointer
    segments = HazardSegments(blocks: storage.pointer)
  }

  /// True: blocks without a slot are what it learns from.
  public var keepsGhosts: Bool { true }

  /// 48 bytes a record; the model's 200 KiB are not counted.
  public var reservedBytes: Int { storage.reservedBytes }

  /// Looks at the request, then names victims, lowest index first, and refuses newcomers that earn less.
  public func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    let time = Double(event.time) / 1e9
    if time > now || requestCount == 0 { now = time }
    let capacity = event.capacity
    let known = look(event)
    if requestCount % HazardIndex.learnEvery == 0 { learn() }
    requestCount += 1
    guardState.step(length: event.blocks.count, hits: known.hits, shadowHits: known.shadowHits, capacity: capacity)
    plan.length = min(event.blocks.count, capacity)
    plan.start = sequence
    plan.excess.removeAll(keepingCapacity: true)
    for block in event.blocks[plan.length...] where block.standing == .held {
      plan.excess.append(block.record.rawValue)
    }
    leaveSegments(event, known: known.depth)
    plan.kind = HazardIndex.kind(newBlocks: event.blocks.count - known.depth, gap: known.gap)
    for position in 0..<plan.length { model.activate(hazardClass(position)) }
    return makeRoom(event, victims: &victims)
  }

  /// Puts the request's blocks where they belong now, and gives up the oldest ghosts.
  public func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    for position in (0..<plan.length).reversed() where event.blocks[position].record != .none {
      touch(event.blocks[position].record.rawValue, position, event)
    }
    for number in plan.excess { putBack(number) }
    plan.excess.removeAll(keepingCapacity: true)
    segments.trimShadow(to: event.capacity)
    for position in (0..<plan.length).reversed() { store(position, event) }
    sequence += UInt64(plan.length)
    settleExcess(event, dropped: &dropped)
    longestRequest = max(longestRequest, event.blocks.count)
    trimGhosts(to: event.capacity, dropped: &dropped)
  }

  /// Puts blocks that stood aside back.
  public func released(_ records: [RecordNumber]) {
    for record in records { putBack(record.rawValue) }
  }

  private func putBack(_ number: UInt32) {
    guard blocks[Int(number)].isAside else { return }
    blocks[Int(number)].isAside = false
    segments.prepend(number)
  }

  /// Forgets blocks that were taken away.
  public func removed(_ records: [RecordNumber]) {
    for record in records { remove(record.rawValue) }
  }

  /// Takes blocks in as touched once, now, each in a request of its own.
  public func adopted(_ records: [RecordNumber]) {
    plan.kind = HazardIndex.kind(newBlocks: 1, gap: nil)
    for record in records { adopt(record.rawValue) }
  }

  /// A resident that no request has told of.
  func adopt(_ number: UInt32) {
    let block = blocks + Int(number)
    sequence += 1
    begin(block, touches: 1, fromTail: 0, sequence: sequence)
    block.pointee.parent = HazardBlock.none
    segments.appendRecent(number)
    block.pointee.state = .resident
    residentCount += 1
    segments.append(number, bin: 0)
  }

  /// The lowest indices first.
  public func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    var missing = count
    takeVictims(&missing, states, victims: &victims) { _ in false }
  }

  /// Forgets all blocks and all that was learned.
  public func reset() {
    storage.zero()
    segments.removeAll()
    model.reset()
    guardState = HazardGuard()
    fullGhosts.removeAll()
    thinGhosts.removeAll()
    freed.removeAll()
    residentCount = 0
    ghostCount = 0
    thinnedCount = 0
    requestCount = 0
    longestRequest = 0
    sequence = 0
    now = 0
  }

  /// How often hazards are made anew, in requests.
  static let learnEvery = 50
  /// A newcomer must earn this much more than its victim.
  static let admissionFactor = 0.9

  /// The class of the request's block at a position.
  func hazardClass(_ position: Int) -> Int {
    let perTouch = HazardModel.newKinds * HazardModel.gapKinds
    return HazardIndex.touchKind(plan.touches[position]) * perTouch + plan.kind
  }

  static func touchKind(_ touches: UInt8) -> Int {
    switch touches {
    case ...1: 0
    case 2: 1
    case ...4: 2
    case ...16: 3
    default: 4
    }
  }

  /// Logarithms of the request's new blocks (base 3) and of its gap in seconds (base 4; 0: nothing was known).
  static func kind(newBlocks: Int, gap: Double?) -> Int {
    var new = 0
    var rest = newBlocks + 1
    while new < HazardModel.newKinds - 1, rest >= 3 {
      new += 1
      rest /= 3
    }
    guard let gap else { return new * HazardModel.gapKinds }
    var kind = 1
    var limit = 4.0
    while kind < HazardModel.gapKinds - 1, gap + 1 >= limit {
      kind += 1
      limit *= 4
    }
    return new * HazardModel.gapKinds + kind
  }
}

/// The no-regret guard: stops the policy for a while when LRU would have been ahead by about one cache-full.
struct HazardGuard {
  /// Whether victims go in the order of LRU and nothing is refused.
  private(set) var actsAsLRU = false
  private var account = 0.0
  private var references = 0
  private var until = 0
  private var trips = 0

  /// A request was looked up.
  mutating func step(length: Int, hits: Int, shadowHits: Int, capacity: Int) {
    references += length
    account += Double(shadowHits - hits) - 0.0025 * Double(length)
    let slots = Double(capacity)
    if account < -4 * slots {
      account = -4 * slots
      trips = 0
    }
    if !actsAsLRU, account > slots {
      actsAsLRU = true
      account = 0
      until = references + 8 * capacity * (1 << min(trips, 6))
      trips += 1
    } else if actsAsLRU, references >= until {
      actsAsLRU = false
      account = 0
    }
  }
}
