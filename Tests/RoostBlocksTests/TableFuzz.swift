import RoostPrimitives
import Testing

@testable import RoostBlocks

/// Runs a table and the model side by side, one random verb after another.
struct TableFuzz: ~Copyable {
  var table: BlockTable
  var model = TableModel(classCount: 2)
  var random: SplitMix64
  let predicts: Bool
  /// The pool's slot table, written as the table says.
  var rows: [UInt32: SlotChange] = [:]
  var slotCount: UInt32 = 0
  var problems: [String] = []
  /// Leases that are over, to be used again by confused callers.
  var past: [LeaseID] = []
  var time: UInt64 = 0
  /// Nanoseconds of the longest pause between two verbs.
  let pauseMax: UInt64

  static let slotCountMax: UInt32 = 24

  init(seed: UInt64, policy: PolicyFactory, predicts: Bool, pauseMax: UInt64 = 3) throws {
    self.pauseMax = pauseMax
    table = try BlockTable(
      BlockTableConfiguration(slotCountMax: Int(TableFuzz.slotCountMax), slotClassCount: 2, policy: policy))
    random = SplitMix64(seed: seed)
    self.predicts = predicts
    addSlots(5, 0)
  }

  mutating func step() {
    time += UInt64.random(in: 0...pauseMax, using: &random)
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<8: match()
    case 8..<29: store()
    case 29..<33: promote()
    case 33..<38: touch()
    case 38..<52: commit()
    case 52..<56: abort()
    case 56..<68: load()
    case 68..<78: end()
    case 78..<84: began()
    case 84..<90: ended()
    case 90..<91: gone()
    case 91..<92: reclaim()
    case 92..<93: forget()
    case 93..<95: discard()
    case 95..<97: evict()
    case 97..<98: addSlots(Int.random(in: 1...3, using: &random), Int.random(in: 0...1, using: &random))
    case 98..<99: reset()
    default: report()
    }
    compare()
  }

  // MARK: requests

  /// A prefix of one of some chains, now and then with a key twice.
  private mutating func request() -> (keys: [Key], slotClass: Int) {
    let slotClass = Int.random(in: 0...1, using: &random)
    let chain = UInt64.random(in: 0..<6, using: &random)
    let identity = UInt32(chain % 3)
    let length = UInt64.random(in: 0...10, using: &random)
    var keys = (0..<length).map { Key(numbered: chain << 8 | $0, identity: identity, group: UInt16(slotClass)) }
    if Int.random(in: 0..<10, using: &random) == 0, let twice = keys.randomElement(using: &random) {
      keys.insert(twice, at: Int.random(in: 0...keys.count, using: &random))
    }
    return (keys, slotClass)
  }

  private mutating func origin() -> RequestOrigin {
    RequestOrigin(request: RequestID(rawValue: UInt64.random(in: 0..<8, using: &random)), owner: 3, time: time)
  }

  private mutating func match() {
    let (keys, _) = request()
    var states = [KeyState](repeating: .below, count: keys.count)
    let run = keys.withUnsafeBufferPointer { keys in
      states.withUnsafeMutableBufferPointer { table.match(keys, into: $0) }
    }
    let expected = model.match(keys)
    expect(states == expected, "match gave \(states), not \(expected)")
    expect(run == expected.prefix { $0 == .ready }.count, "match counts the run wrong")
  }

  private mutating func store() {
    let (keys, slotClass) = request()
    let origin = origin()
    let shards = Int.random(in: 1...2, using: &random)
    var grants = [StoreGrant](
      repeating: StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: 0), generation: 0), count: keys.count)
    let before = Set(model.pages.keys)
    let id = keys.withUnsafeBufferPointer { keys in
      grants.withUnsafeMutableBufferPointer { grants in
        let request = StoreRequest(
          origin: origin, keys: keys, slotClass: SlotClass(rawValue: UInt8(slotClass)), shardCount: shards)
        return try? table.beginStore(request, into: grants)
      }
    }
    evicted(before, sparing: keys) { model in
      let limit = model.limit(keys, slotClass)
      return model.leastRecentVictims(keys, slotClass, limit)
    } expecting: { [predicts] model, limit in
      predicts && model.outcomes(keys, slotClass, limit) != grants.map(\.outcome) ? "wrong outcomes \(grants)" : nil
    } limit: {
      $0.limit(keys, slotClass)
    }
    if let problem = model.store(keys, grants, origin.request, shards: shards, id) { problems.append(problem) }
  }

  private mutating func promote() {
    let (keys, slotClass) = request()
    let origin = origin()
    var grants = [StoreGrant](
      repeating: StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: 0), generation: 0), count: keys.count)
    let before = Set(model.pages.keys)
    let excess = model.excess(keys, slotClass)
    let id = keys.withUnsafeBufferPointer { keys in
      grants.withUnsafeMutableBufferPointer { grants in
        try? table.beginPromotion(keys, SlotClass(rawValue: UInt8(slotClass)), origin, into: grants)
      }
    }
    evicted(before, sparing: []) {
      $0.oldest(excess, slotClass)
    } expecting: { _, _ in
      nil
    } limit: { _ in
      0
    }
    if let problem = model.promote(keys, grants, origin.request, id, before: before) { problems.append(problem) }
  }

  private mutating func touch() {
    let (keys, slotClass) = request()
    let origin = origin()
    keys.withUnsafeBufferPointer { table.touch($0, SlotClass(rawValue: UInt8(slotClass)), origin) }
    model.use(keys)
  }

  private mutating func evict() {
    let slotClass = Int.random(in: 0...1, using: &random)
    let count = Int.random(in: 0...4, using: &random)
    let before = Set(model.pages.keys)
    let evictable = table.slotCount(SlotClass(rawValue: UInt8(slotClass)), in: .ready)
    let done = table.evict(count, SlotClass(rawValue: UInt8(slotClass)))
    expect(done == min(count, evictable), "evict found \(done) of \(count)")
    evicted(before, sparing: []) {
      $0.oldest(done, slotClass)
    } expecting: { _, _ in
      nil
    } limit: { _ in
      0
    }
  }

  /// Finds out which keys are gone, and whether they are the ones that had to go.
  private mutating func evicted(
    _ before: Set<Key>, sparing own: [Key], predicted: (inout TableModel) -> [Key],
    expecting: (inout TableModel, Int) -> String?, limit: (TableModel) -> Int
  ) {
    let victims = before.filter { key in
      let record = table.index.find(key)
      return record == .none || !table.records[record].isResident
    }
    let admitted = limit(model)
    for key in victims {
      expect(model.pages[key]!.isEvictable, "a page was evicted that is held")
      expect(!own.contains(key), "a page was evicted for its own request")
    }
    if predicts {
      let expected = predicted(&model)
      expect(Set(expected) == victims, "wrong victims")
    }
    model.evict(Array(victims))
    if let problem = expecting(&model, admitted) { problems.append(problem) }
  }

  private mutating func load() {
    let (keys, _) = request()
    let origin = origin()
    var grants = [LoadGrant](
      repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: 0), generation: 0), count: keys.count)
    let id = keys.withUnsafeBufferPointer { keys in
      grants.withUnsafeMutableBufferPointer { grants in try? table.beginLoad(keys, origin, into: grants) }
    }
    if let problem = model.load(keys, grants, origin.request, id) { problems.append(problem) }
  }

  // MARK: leases

  /// A lease that lives, or now and then one that does not.
  private mutating func lease() -> LeaseID {
    if Int.random(in: 0..<12, using: &random) == 0 {
      return past.randomElement(using: &random) ?? LeaseID(rawValue: random.next())
    }
    let live = model.leases.keys.sorted { $0.rawValue < $1.rawValue }
    let chosen = live.randomElement(using: &random) ?? LeaseID(rawValue: 0)
    past.append(chosen)
    return chosen
  }

  private mutating func attachment() -> Int { Int.random(in: 0..<3, using: &random) }

  private mutating func commit() {
    let (id, shard) = (lease(), Int.random(in: -1...2, using: &random))
    let given = table.commit(id, shard: shard)
    expect(given == model.commit(id, shard: shard), "commit answers \(given)")
  }

  private mutating func abort() {
    let id = lease()
    let given = table.abort(id)
    expect(given == model.cancel(id), "abort answers \(given)")
  }

  private mutating func end() {
    let id = lease()
    let given = table.end(id)
    expect(given == model.cancel(id), "end answers \(given)")
  }

  private mutating func began() {
    let (id, attachment) = (lease(), attachment())
    let given = table.copiesBegan(id, attachment: attachment)
    expect(given == model.copiesBegan(id, attachment), "copiesBegan answers \(given)")
  }

  private mutating func ended() {
    let (id, attachment) = (lease(), attachment())
    let given = table.copiesEnded(id, attachment: attachment)
    expect(given == model.copiesEnded(id, attachment), "copiesEnded answers \(given)")
  }

  private mutating func gone() {
    let attachment = attachment()
    let given = table.attachmentGone(attachment)
    expect(given == model.attachmentGone(attachment), "attachmentGone counts \(given)")
  }

  private mutating func reclaim() {
    let request = origin().request
    let given = table.reclaim(request)
    expect(given == model.reclaim(request), "reclaim counts \(given)")
  }

  private mutating func report() {
    let age = UInt64.random(in: 0...40, using: &random)
    let empty = UnsafeMutableBufferPointer<LeaseReport>(start: nil, count: 0)
    let count = table.leases(olderThan: 0, at: time, into: empty)
    expect(count == model.leases.count, "\(count) leases are reported")
    let reports = UnsafeMutableBufferPointer<LeaseReport>.allocate(capacity: max(1, count))
    defer { reports.deallocate() }
    for report in reports.prefix(table.leases(olderThan: age, at: time, into: reports)) {
      let lease = model.leases[report.id]
      expect(report.age >= age && report.age == time - report.origin.time, "a lease has a wrong age")
      expect(lease?.request == report.origin.request && lease?.pages.count == report.slotCount, "a wrong report")
      expect(lease?.copying.reduce(0) { $0 | 1 << UInt64($1) } == report.copying, "a wrong fence")
    }
  }

  // MARK: contents

  private mutating func addSlots(_ count: Int, _ slotClass: Int) {
    let range = slotCount..<min(TableFuzz.slotCountMax, slotCount + UInt32(count))
    slotCount = range.upperBound
    var adopted: [AdoptedSlot] = []
    for slot in range where Bool.random(using: &random) {
      let key = Key(
        numbered: UInt64.random(in: 0..<6, using: &random) << 8 | UInt64.random(in: 0..<9, using: &random),
        identity: 0, group: UInt16(slotClass))
      adopted.append(AdoptedSlot(key: key, slot: SlotNumber(rawValue: slot), generation: 77))
    }
    model.add(range, slotClass, 40, adopted)
    adopted.withUnsafeBufferPointer {
      _ = table.addSlots(range, SlotClass(rawValue: UInt8(slotClass)), generation: 40, adopting: $0)
    }
    for slot in range {
      rows[slot] = SlotChange(slot: SlotNumber(rawValue: slot), state: .free, generation: 40, key: nil)
    }
  }

  private mutating func forget() {
    let identity = IdentityID(rawValue: UInt32.random(in: 0..<3, using: &random))
    let forgotten = model.pages.values.filter { $0.key.identity == identity }
    for page in forgotten { model.retire(page) }
    var given = 0
    var position = 0
    let turn = (records: Int.random(in: 1..<60, using: &random), pages: Int.random(in: 1..<6, using: &random))
    while position < .max {
      let count = table.forget(identity, from: &position, recordCountMax: turn.records, pageCountMax: turn.pages)
      expect(count <= turn.pages, "a turn of forgetting took \(count) pages")
      given += count
    }
    expect(given == forgotten.count, "forget counts \(given)")
    for raw in 0..<table.records.touchedCount {
      let record = table.records[RecordNumber(rawValue: UInt32(raw))]
      expect(!record.isIndexed || record.key.identity != identity, "a forgotten key is still there")
    }
  }

  private mutating func discard() {
    let slot = UInt32.random(in: 0..<TableFuzz.slotCountMax + 2, using: &random)
    let page = model.pageInSlot[slot]
    let generation = (page?.generation ?? 0) &+ (Int.random(in: 0..<4, using: &random) == 0 ? 1 : 0)
    let fits = page.map { $0.generation == generation } ?? false
    if !fits { model.statistics.stale += 1 }
    let expected = fits && page!.isKeyed
    if expected { model.retire(page!) }
    let given = table.discard(SlotNumber(rawValue: slot), generation: generation)
    expect(given == expected, "discard answers \(given)")
  }

  private mutating func reset() {
    do {
      try table.reset()
      expect(model.leases.isEmpty, "reset under leases")
      for page in Array(model.pages.values) { model.retire(page) }
    } catch {
      expect(error.code == .busy && !model.leases.isEmpty, "reset threw \(error)")
    }
  }

  // MARK: comparison

  private mutating func expect(_ condition: Bool, _ text: String) { if !condition { problems.append(text) } }

  private mutating func compare() {
    let changes = UnsafeMutableBufferPointer<SlotChange>.allocate(capacity: 3)
    defer { changes.deallocate() }
    while true {
      let count = table.drainChanges(into: changes)
      for change in changes.prefix(count) { rows[change.slot.rawValue] = change }
      if count < changes.count { break }
    }
    for slot in 0..<slotCount {
      let (row, expected) = (rows[slot]!, model.row(slot))
      let same = row.state == expected.state && row.key == expected.key
      // A free row's generation means nothing until the slot is used again.
      expect(same && (row.state == .free || row.generation == expected.generation), "row \(row), not \(expected)")
    }
    var statistics = table.statistics
    statistics.ghosts = 0
    if statistics != model.expectedStatistics {
      problems.append("statistics \(statistics), not \(model.expectedStatistics)")
    }
    problems += table.checkInvariants()
  }
}

@Suite struct TableFuzzTests {
  /// Few by day; with ROOST_TEST_LARGE_TRACES, the soak run, many.
  static let rounds: UInt64 = TracePoint.large ? 40 : 3
  static let steps = 2000

  @Test(arguments: 1...TableFuzzTests.rounds)
  func theTableDoesWhatANaiveModelDoes(seed: UInt64) throws {
    var fuzz = try TableFuzz(seed: seed, policy: LeastRecentlyUsed.factory, predicts: true)
    for step in 0..<TableFuzzTests.steps {
      fuzz.step()
      if !fuzz.problems.isEmpty {
        Issue.record("seed \(seed), step \(step): \(fuzz.problems)")
        return
      }
    }
    let statistics = fuzz.table.statistics
    // The run must have been through everything.
    for count in [statistics.evicted, statistics.aborted, statistics.retired, statistics.published, statistics.stale] {
      #expect(count > 20, "\(statistics)")
    }
    for count in [statistics.adopted, statistics.reclaimed, statistics.refused] { #expect(count > 0, "\(statistics)") }
  }

  @Test(arguments: 101...(100 + TableFuzzTests.rounds))
  func anAwkwardPolicyWithGhostsKeepsTheTableWhole(seed: UInt64) throws {
    var fuzz = try TableFuzz(seed: seed, policy: GhostlyPolicy.factory(seed: seed), predicts: false)
    var mostGhosts = 0
    for step in 0..<TableFuzzTests.steps {
      fuzz.step()
      mostGhosts = max(mostGhosts, fuzz.table.statistics.ghosts)
      if !fuzz.problems.isEmpty {
        Issue.record("seed \(seed), step \(step): \(fuzz.problems)")
        return
      }
    }
    #expect(mostGhosts > 5)
    let policy = fuzz.table.policy(SlotClass(rawValue: 0)) as? GhostlyPolicy
    #expect(policy?.ghostsThatCameBack ?? 0 > 5)
  }

  @Test(arguments: 201...(200 + TableFuzzTests.rounds))
  func theHazardIndexKeepsTheTableAndItselfWhole(seed: UInt64) throws {
    var fuzz = try TableFuzz(seed: seed, policy: HazardIndex.factory, predicts: false, pauseMax: 4_000_000_000)
    var mostGhosts = 0
    for step in 0..<TableFuzzTests.steps / 2 {
      fuzz.step()
      mostGhosts = max(mostGhosts, fuzz.table.statistics.ghosts)
      if !fuzz.problems.isEmpty {
        Issue.record("seed \(seed), step \(step): \(fuzz.problems)")
        return
      }
    }
    #expect(5...(2 * Int(TableFuzz.slotCountMax)) ~= mostGhosts)
  }

  private static let others = [FirstInFirstOut.factory, SmallMainGhost.factory, AdaptiveReplacement.factory]

  @Test(arguments: others.map(\.name))
  func otherPoliciesKeepTheTableAndThemselvesWhole(name: String) throws {
    let factories = TableFuzzTests.others
    let factory = try #require(factories.first { $0.name == name })
    for seed in 301...(300 + TableFuzzTests.rounds) {
      var fuzz = try TableFuzz(seed: seed, policy: factory, predicts: false)
      for step in 0..<TableFuzzTests.steps / 4 {
        fuzz.step()
        let statistics = fuzz.table.statistics
        if !fuzz.problems.isEmpty || statistics.ghosts > 2 * Int(TableFuzz.slotCountMax) {
          Issue.record("seed \(seed), step \(step): \(statistics.ghosts) ghosts, \(fuzz.problems)")
          return
        }
      }
    }
  }
}
