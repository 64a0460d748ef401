import RoostPrimitives

/// All that the hazard index knows, and the two halves of a request. Not thread-safe.
struct HazardState: ~Copyable {
  /// How often hazards are made anew, in requests.
  static let learnEvery = 50
  /// A newcomer must earn this much more than its victim.
  static let admissionFactor = 0.9

  let storage: ReservedArray<HazardBlock>
  let blocks: UnsafeMutablePointer<HazardBlock>
  var model: HazardModel
  var segments: HazardSegments
  var ghosts: GhostQueue
  var candidates = CandidateQueue()
  var guardState = HazardGuard()
  /// Parked parents that have become leaves.
  var freed: [UInt32] = []
  /// The request between `decide` and `settle`.
  var plan = RequestPlan()
  var residentCount = 0
  /// Residents that stand aside.
  var asideCount = 0
  var requestCount = 0
  var sequence: UInt64 = 0
  var now = 0.0

  init(recordCount: Int) throws(RoostError) {
    let storage = try ReservedArray<HazardBlock>(count: recordCount)
    let model = try HazardModel()
    let segments = try HazardSegments(blocks: storage.pointer, limits: model.limits)
    let ghosts = try GhostQueue(blocks: storage.pointer, count: recordCount)
    blocks = storage.pointer
    self.storage = storage
    self.model = model
    self.segments = segments
    self.ghosts = ghosts
  }

  var reservedBytes: Int { storage.reservedBytes + ghosts.reservedBytes }

  /// First half: names victims and says how many newcomers are let in.
  mutating func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    let time = Double(event.time) / 1e9
    if time > now || requestCount == 0 { now = time }
    let known = look(event.blocks)
    if requestCount % HazardState.learnEvery == 0 { learn() }
    requestCount += 1
    guardState.step(
      length: event.blocks.count, hits: known.hits, shadowHits: known.shadowHits, capacity: event.capacity)
    plan.begin(event, from: sequence)
    leaveSegments(event.blocks, known: known.depth)
    classify(newBlocks: event.blocks.count - known.depth, gap: known.gap, outputTokens: event.outputTokenCount)
    let accepted = makeRoom(event, victims: &victims)
    plan.refusedCount = plan.newcomerCount - accepted
    return accepted
  }

  /// Second half: puts the request's blocks where they belong now.
  mutating func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    putInPlace(event.blocks)
    for number in plan.excess { putBack(number) }
    plan.excess.removeAll(keepingCapacity: true)
    segments.trimShadow(to: event.capacity)
    sequence += UInt64(plan.length)
    settleExcess(event, dropped: &dropped)
    // More than was expected: a block that was let in found no room.
    trimGhosts(event.capacity, expecting: 0, dropped: &dropped)
  }

  mutating func putBack(_ records: [RecordNumber]) {
    guard asideCount > 0 else { return }
    for record in records { putBack(record.rawValue) }
  }

  private mutating func putBack(_ number: UInt32) {
    guard blocks[Int(number)].isAside else { return }
    blocks[Int(number)].isAside = false
    asideCount -= 1
    segments.prepend(number)
  }

  /// Takes in a resident that no request has told of.
  mutating func adopt(_ number: UInt32) {
    let block = blocks + Int(number)
    let kind = HazardModel.kind(newBlocks: 1, gap: nil, outputTokens: nil)
    let row = model.row(touchKind: HazardModel.touchKind(1), kind: kind)
    sequence += 1
    begin(block, row: row, touches: 1, isLandmark: true, sequence: sequence)
    model.enter(HazardModel.cell(row, 0))
    block.pointee.parentOrOlder = HazardBlock.none
    segments.appendRecent(number)
    block.pointee.state = .resident
    residentCount += 1
    segments.append(number, bin: 0)
  }

  mutating func reset() {
    storage.zero()
    segments.removeAll()
    model.reset()
    ghosts.removeAll()
    guardState = HazardGuard()
    freed.removeAll()
    residentCount = 0
    asideCount = 0
    requestCount = 0
    sequence = 0
    now = 0
  }

  private mutating func learn() {
    segments.age(HazardSegments.evictable, to: now, model)
    segments.age(HazardSegments.waiting, to: now, model)
    model.learn(segments)
  }
}

/// What the first half of a request finds out for the second. Its memory is kept from request to request.
struct RequestPlan: ~Copyable {
  /// How many of the request's blocks count: at most the capacity.
  private(set) var length = 0
  /// Touches are numbered from here.
  private(set) var start: UInt64 = 0
  /// Blocks among them that have no slot.
  var newcomerCount = 0
  /// Those of them that are not let in.
  var refusedCount = 0
  /// Held blocks beyond `length`, of a request longer than the pool: they must not go either.
  var excess: [UInt32] = []
  /// Touches of each block, this one included.
  private(set) var touches: UnsafeMutablePointer<UInt8>
  /// The row of each kind of touches, where there are such blocks.
  var rows = InlineArray<5, Int>(repeating: 0)
  private var capacity: Int

  init() {
    capacity = 1 << 10
    touches = .allocate(capacity: capacity)
  }

  deinit { touches.deallocate() }

  mutating func begin(_ event: RequestEvent, from sequence: UInt64) {
    length = min(event.blocks.count, event.capacity)
    start = sequence
    newcomerCount = 0
    excess.removeAll(keepingCapacity: true)
    for block in event.blocks[length...] where block.standing == .held { excess.append(block.record.rawValue) }
    if length > capacity {
      touches.deallocate()
      capacity = max(length, 2 * capacity)
      touches = .allocate(capacity: capacity)
    }
  }

  /// The number of the touch at a position: the head is the latest.
  @inline(__always) func sequenceNumber(_ position: Int) -> UInt64 { start + UInt64(length - position) }
}
