import Foundation
import RoostBlocks
import RoostPool
import RoostPrimitives
import RoostStorage
import Synchronization
import TierDisk
import Testing

@testable import RoostEngine

@Suite struct TierTests {
  /// An engine with a tier that the test drives.
  private static func driven(
    slots: Int = 32, _ tier: any Tier, _ adjust: (inout TierSetup, inout EngineConfiguration) -> Void = { _, _ in }
  ) throws -> Harness {
    try Harness(slots: slots) { configuration, _ in
      var setup = TierSetup(tier)
      setup.driving = .caller
      setup.admission = .all
      // LRU refuses nothing.
      configuration.policy = LeastRecentlyUsed.factory
      configuration.slotCountMax = slots
      adjust(&setup, &configuration)
      configuration.tier = setup
    }
  }

  private static func settle(_ engine: Engine) {
    for _ in 0..<100_000 {
      if case .idle = engine.turnTier() { return }
    }
    Issue.record("the tier does not come to rest")
  }

  private static func prefetch(
    _ harness: Harness, _ seeds: [UInt64], request: UInt64 = 2, seconds: Double = 30
  ) throws -> PrefetchAnswer {
    try harness.keys(seeds).withUnsafeBufferPointer {
      try harness.engine.prefetch(RequestID(rawValue: request), $0, until: .after(seconds: seconds))
    }
  }

  private static func start(
    _ harness: Harness, _ seeds: [UInt64], request: UInt64 = 2, seconds: Double = 30
  ) throws -> PrefetchID {
    guard case .started(let id) = try prefetch(harness, seeds, request: request, seconds: seconds) else {
      throw RoostError(.notFound, "nothing was started")
    }
    return id
  }

  private static func reconciles(_ harness: Harness) -> Bool {
    guard let tier = harness.engine.statistics.tier else { return false }
    let promotions =
      tier.promoted + tier.promotionsMissing + tier.promotionsCorrupt + tier.promotionsFailed + tier.promotionsInFlight
    return harness.reconciles && promotions == tier.promotionsBegun && tier.demotionsInFlight >= 0
  }

  /// A memory tier that holds the pages of some seeds and nothing of them in the pool.
  private static func filled(
    _ seeds: [UInt64], slots: Int = 32, _ adjust: (inout TierSetup, inout EngineConfiguration) -> Void = { _, _ in }
  ) throws -> (Harness, MemoryTier) {
    let tier = MemoryTier(capacity: .mebibytes(64))
    // The pages stay where they are: the engine that wrote them is closed, the tier is not.
    let kept = SharedTier(tier)
    let writer = try driven(slots: 32, kept)
    for start in stride(from: 0, to: seeds.count, by: 16) {
      try writer.store(Array(seeds[start..<min(start + 16, seeds.count)]))
    }
    settle(writer.engine)
    return (try driven(slots: slots, kept, adjust), tier)
  }

  @Test func whatIsCommittedIsWrittenBehindAndFoundBelowAfterItsEviction() throws {
    let tier = MemoryTier(capacity: .mebibytes(64))
    let harness = try TierTests.driven(slots: 8, tier)
    try harness.store([1, 2, 3, 4])
    #expect(tier.usage.pageCount == 0, "a commit does not wait for the tier")
    TierTests.settle(harness.engine)
    #expect(tier.usage.pageCount == 4)
    try harness.store([11, 12, 13, 14, 15, 16, 17, 18])
    TierTests.settle(harness.engine)
    let states = harness.match(harness.keys([1, 2, 3, 4, 5]))
    #expect(states.filter { $0 == .below }.count >= 3)
    #expect(states[4] == .absent)
    let statistics = try #require(harness.engine.statistics.tier)
    #expect(statistics.demoted == tier.usage.pageCount && statistics.offered == statistics.demoted)
    #expect(TierTests.reconciles(harness))
  }

  @Test func aPrefetchBringsPagesAndHoldsThemUntilTheLoad() throws {
    let seeds = (0..<6).map { UInt64($0) }
    let (harness, _) = try TierTests.filled(seeds)
    #expect(try harness.load(seeds) == [Int?](repeating: nil, count: 6))
    TierTests.settle(harness.engine)
    #expect(harness.match(harness.keys(seeds)) == [KeyState](repeating: .below, count: 6))
    let id = try TierTests.start(harness, seeds)
    #expect(harness.engine.progress(of: id)?.isOver == false)
    TierTests.settle(harness.engine)
    let progress = try #require(harness.engine.progress(of: id))
    #expect(progress.isOver && progress.arrived == 6 && progress.failed == 0)
    #expect(harness.engine.statistics.blocks.evictable == 0, "what arrived is held")
    #expect(try harness.load(seeds) == [Int?](repeating: 0, count: 6))
    #expect(harness.engine.progress(of: id) == nil, "the load has taken over")
    #expect(harness.engine.statistics.blocks.evictable == 6)
    #expect(harness.engine.leases().isEmpty)
    #expect(TierTests.reconciles(harness))
  }

  @Test func promotionsOfOnePageByTwoRequestsAreOneRead() throws {
    let (harness, tier) = try TierTests.filled([1, 2, 3])
    TierTests.settle(harness.engine)
    let before = tier.usage.counters.submitted[.read] ?? 0
    let first = try TierTests.start(harness, [1, 2, 3], request: 7)
    let second = try TierTests.start(harness, [1, 2, 3], request: 8)
    TierTests.settle(harness.engine)
    #expect((tier.usage.counters.submitted[.read] ?? 0) - before == 3)
    #expect(harness.engine.progress(of: first)?.arrived == 3)
    #expect(harness.engine.progress(of: second)?.arrived == 3)
    harness.engine.reclaim(RequestID(rawValue: 7))
    #expect(harness.engine.statistics.blocks.evictable == 0, "the second request still holds them")
    harness.engine.endPrefetch(second)
    #expect(harness.engine.statistics.blocks.evictable == 3)
    #expect(harness.engine.leases().isEmpty)
    #expect(TierTests.reconciles(harness))
  }

  @Test func promotedPagesTakeAQuarterOfThePoolAtMost() throws {
    let seeds = (0..<24).map { UInt64($0) }
    let (harness, _) = try TierTests.filled(seeds, slots: 16)
    TierTests.settle(harness.engine)
    let id = try TierTests.start(harness, seeds)
    TierTests.settle(harness.engine)
    let progress = try #require(harness.engine.progress(of: id))
    let share = harness.engine.statistics.blocks.capacity / 4
    #expect(progress.isOver && progress.arrived == share && progress.failed == 24 - share)
    #expect(harness.engine.statistics.tier?.promotionsRefused == 24 - share)
    let other = try TierTests.start(harness, [20, 21], request: 9)
    TierTests.settle(harness.engine)
    #expect(harness.engine.progress(of: other)?.failed == 2, "the room is taken until the first one loads")
    harness.engine.endPrefetch(id)
    _ = try TierTests.start(harness, [20, 21], request: 10)
    TierTests.settle(harness.engine)
    #expect(harness.match(harness.keys([20, 21])) == [.ready, .ready])
    #expect(TierTests.reconciles(harness))
  }

  @Test func aDamagedPageIsAMissAndCounted() throws {
    let (harness, tier) = try TierTests.filled([1, 2, 3])
    TierTests.settle(harness.engine)
    #expect(tier.damage(PageName(harness.key(2), identity: IdentityDigest(words: (1, 2, 3, 4)))))
    let id = try TierTests.start(harness, [1, 2, 3])
    TierTests.settle(harness.engine)
    #expect(harness.engine.progress(of: id)?.arrived == 2)
    #expect(harness.engine.progress(of: id)?.failed == 1)
    #expect(try harness.load([1, 2, 3]) == [0, nil, 0])
    #expect(harness.engine.statistics.tier?.promotionsCorrupt == 1)
    #expect(harness.match(harness.keys([2])) == [.absent])
    #expect(TierTests.reconciles(harness))
  }

  @Test func afterTheDeadlineNothingIsHeld() throws {
    let (harness, _) = try TierTests.filled([1, 2, 3])
    TierTests.settle(harness.engine)
    let id = try TierTests.start(harness, [1, 2, 3], seconds: 0)
    TierTests.settle(harness.engine)
    #expect(harness.engine.progress(of: id) == nil)
    #expect(harness.engine.leases().isEmpty)
    #expect(TierTests.reconciles(harness))
  }

  @Test func aPageThatHasToBeCheckedBeforeEveryLoadComesWithItsSeal() throws {
    let (harness, _) = try TierTests.filled([1, 2, 3]) { $1.verification = .host }
    TierTests.settle(harness.engine)
    _ = try TierTests.start(harness, [1, 2, 3])
    TierTests.settle(harness.engine)
    #expect(try harness.load([1, 2, 3]) == [0, 0, 0])
    #expect(harness.engine.statistics.checked == 3)
  }

  @Test func whereComputingIsFasterNothingIsBrought() throws {
    let (harness, _) = try TierTests.filled([1, 2, 3, 4]) { setup, _ in setup.prefillTokensPerSecond = 1e15 }
    TierTests.settle(harness.engine)
    // Nothing is known of the tier's speed yet, so the first is a try.
    _ = try TierTests.start(harness, [1, 2], request: 5)
    TierTests.settle(harness.engine)
    #expect(try TierTests.prefetch(harness, [3, 4], request: 6) == .recompute)
    #expect(harness.engine.statistics.tier?.recomputes == 1)
    #expect(harness.match(harness.keys([3])) == [.below])
  }

  @Test func aForgottenIdentityIsGoneFromTheTier() throws {
    let (harness, tier) = try TierTests.filled([1, 2, 3])
    TierTests.settle(harness.engine)
    _ = try TierTests.start(harness, [1])
    TierTests.settle(harness.engine)
    #expect(tier.usage.pageCount == 3)
    harness.engine.forget(harness.identity)
    #expect(tier.usage.pageCount == 0)
    #expect(harness.match(harness.keys([1, 2, 3])) == [.absent, .absent, .absent])
    try harness.store([1, 2])
    TierTests.settle(harness.engine)
    #expect(tier.usage.pageCount == 2, "what is stored afterwards is another page")
    #expect(TierTests.reconciles(harness))
  }

  @Test func resetEmptiesTheTierOfWhatTheEngineKnows() throws {
    let (harness, tier) = try TierTests.filled([1, 2, 3])
    TierTests.settle(harness.engine)
    _ = try TierTests.start(harness, [1, 2, 3])
    try harness.engine.reset(until: Harness.soon)
    #expect(tier.usage.pageCount == 0)
    #expect(harness.match(harness.keys([1])) == [.absent])
    try harness.store([1])
    TierTests.settle(harness.engine)
    #expect(tier.usage.pageCount == 1)
    #expect(TierTests.reconciles(harness))
  }

  @Test func aPageIsWrittenWhenASecondRequestAsksForIt() throws {
    let tier = MemoryTier(capacity: .mebibytes(64))
    let harness = try TierTests.driven(slots: 8, tier) { setup, _ in setup.admission = .again }
    try harness.store([1, 2])
    TierTests.settle(harness.engine)
    #expect(tier.usage.pageCount == 0)
    try harness.store([1, 3])
    TierTests.settle(harness.engine)
    #expect(tier.usage.pageCount == 1, "1 is held, and asked for again")
    try harness.store([11, 12, 13, 14, 15, 16, 17, 18])
    try harness.store([2])
    TierTests.settle(harness.engine)
    #expect(harness.match(harness.keys([2])) == [.ready])
    #expect(tier.usage.pageCount == 2, "2 came back, and was asked for again")
    #expect(harness.engine.statistics.tier?.notWorthAWrite ?? 0 > 0)
  }

  @Test func aPageIsKnownAgainAsLongAsTheTierWouldHaveKeptIt() throws {
    let tier = MemoryTier(capacity: .mebibytes(64))
    let harness = try TierTests.driven(slots: 8, tier) { setup, _ in setup.admission = .again }
    try harness.store([1])
    for first in stride(from: 100, to: 900, by: 8) as StrideTo<UInt64> { try harness.store(Array(first..<first + 8)) }
    TierTests.settle(harness.engine)
    #expect(tier.usage.pageCount == 0)
    try harness.store([1])
    TierTests.settle(harness.engine)
    #expect(tier.usage.pageCount == 1, "800 other blocks in a pool of 8 are few for a tier of 4,096")
  }

  @Test func nothingIsWrittenWhereAdmissionIsOff() throws {
    let tier = MemoryTier(capacity: .mebibytes(64))
    let harness = try TierTests.driven(tier) { setup, _ in setup.admission = .none }
    for _ in 0..<3 { try harness.store([1, 2, 3]) }
    TierTests.settle(harness.engine)
    #expect(tier.usage.counters.submittedCount == 0)
  }

  @Test func aTierThatCannotStartIsTriedAgainAndForgetsWhatWasForgottenMeanwhile() throws {
    let (filled, tier) = try TierTests.filled([1, 2, 3])
    filled.engine.close(until: Harness.soon)
    let clock = SteppedClock()
    let late = SharedTier(tier, failureCount: 2)
    let harness = try TierTests.driven(late) { $1.clock = clock }
    TierTests.settle(harness.engine)
    #expect(harness.engine.statistics.tier?.isReady == false)
    #expect(harness.match(harness.keys([1])) == [.absent])
    clock.now.add(900_000_000, ordering: .relaxed)
    TierTests.settle(harness.engine)
    #expect(late.recoveryCount == 1, "not before its time")
    clock.now.add(100_000_000, ordering: .relaxed)
    TierTests.settle(harness.engine)
    #expect(late.recoveryCount == 2 && harness.engine.statistics.tier?.isReady == false)
    #expect(throws: RoostError.self) { try harness.engine.reset(until: Harness.soon) }
    #expect(tier.usage.pageCount == 3)
    clock.now.add(2_000_000_000, ordering: .relaxed)
    TierTests.settle(harness.engine)
    #expect(harness.engine.statistics.tier?.isReady == true)
    #expect(tier.usage.pageCount == 0)
    try harness.store([1])
    TierTests.settle(harness.engine)
    #expect(tier.usage.pageCount == 1)
    #expect(TierTests.reconciles(harness))
  }

  @Test func aTierThatHangsDoesNotHoldUpTheEnd() throws {
    let tier = SharedTier(MemoryTier(capacity: .mebibytes(1)), hangs: true)
    let seen = Guarded((name: "", leakedCount: -1))
    // A deadline of our own: a test's time limit counts from the start of all tests, however long this one waits for its
    // turn.
    let hasEnded = HostThread.run("hanging-tier", until: .after(seconds: 120)) {
      var name = ""
      let made = try? Harness { configuration, pool in
        configuration.tier = TierSetup(tier)
        name = pool.name
      }
      guard let harness = made, (try? harness.store([1, 2])) != nil else { return }
      let leakedCount = harness.engine.close(until: .after(seconds: 0)).count
      seen.withLock { $0 = (name, leakedCount) }
    }
    try #require(hasEnded, "the end waits for the tier")
    let (name, leakedCount) = seen.withLock { $0 }
    #expect(leakedCount == 0)
    // Its slots may still be written: nobody gets them while this process lives.
    #expect(throws: RoostError.self) { try Harness { $1.name = name } }
    tier.letGo()
  }

  @Test func anotherEngineOnTheSameDirectoryHitsWhatWasStoredBefore() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(Harness.uniqueName())
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    func open() throws -> Harness {
      try Harness { configuration, _ in
        var setup = TierSetup(
          try DiskTier(DiskDirectory(directory.path, io: .threads), DiskTierConfiguration(capacity: .mebibytes(8))))
        setup.admission = .all
        configuration.tier = setup
      }
    }
    let seeds = (0..<16).map { UInt64($0) }
    do {
      let first = try open()
      try first.store(seeds)
      #expect(first.engine.close(until: Harness.soon).isEmpty)
    }
    let second = try open()
    let early = seeds.prefix(7).map { $0 }
    #expect(second.match(second.keys(early)) == [KeyState](repeating: .below, count: 7))
    let id = try TierTests.start(second, early)
    #expect(Harness.eventually { second.engine.progress(of: id)?.isOver ?? true })
    #expect(try second.load(early) == [Int?](repeating: 0, count: 7))
    #expect(second.engine.statistics.tier?.promoted == 7)
    #expect(TierTests.reconciles(second))
  }

  @Test(.enabled(if: RingProbe.obstacle() == nil, "io_uring is not to be had here"))
  func theTierHearsOfEveryChunkOfThePoolBeforeItReadsIntoIt() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(Harness.uniqueName())
    defer { try? FileManager.default.removeItem(at: directory) }
    let tier = HearingTier(
      try DiskTier(DiskDirectory(directory.path, io: .ring), DiskTierConfiguration(capacity: .mebibytes(8))))
    let harness = try TierTests.driven(slots: 8, tier)
    func settle() {
      for _ in 0..<1000 {
        switch harness.engine.turnTier() {
        case .idle, .over: return
        case .waits: _ = tier.wait(until: .after(seconds: 0.1))
        case .busy: continue
        }
      }
      Issue.record("the tier does not come to rest")
    }
    settle()
    try harness.store([1, 2, 3, 4])
    settle()
    try harness.store([11, 12, 13, 14, 15, 16, 17, 18])
    settle()
    let gone = [1, 2, 3, 4].filter { harness.match(harness.keys([$0])) == [.below] } as [UInt64]
    #expect(!gone.isEmpty)
    let id = try TierTests.start(harness, [gone[0]])
    settle()
    #expect(harness.engine.progress(of: id)?.isOver == true)
    #expect(try harness.load([gone[0]]) == [0])
    let (regions, elsewhereCount) = tier.heard
    #expect(regions.count == Set(regions).count && elsewhereCount == 0)
    let chunks = try #require(harness.engine.pool).memory.chunks
    #expect(regions == chunks.map { $0.memory.address..<($0.memory.address + UInt($0.memory.byteCount)) })
    print("registered: \(ByteCount(tier.usage.registeredBytes)) of \(chunks.count) chunks")
  }
}

/// Notes what memory a tier hears of, and the pages that lie elsewhere.
private final class HearingTier: Tier {
  private let inner: any Tier
  private let notes = Guarded<(regions: [Range<UInt>], elsewhereCount: Int)>(([], 0))
  init(_ inner: any Tier) { self.inner = inner }
  var name: String { inner.name }
  var heard: (regions: [Range<UInt>], elsewhereCount: Int) { notes.withLock { $0 } }
  func register(_ memory: UnsafeMutableRawBufferPointer) {
    let start = UInt(bitPattern: memory.baseAddress)
    notes.withLock { $0.regions.append(start..<(start + UInt(memory.count))) }
    inner.register(memory)
  }
  func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    notes.withLock { notes in
      for page in batch.pages where page.memory.count > 0 {
        let start = UInt(bitPattern: page.memory.baseAddress)
        let end = start + UInt(page.memory.count)
        if !notes.regions.contains(where: { $0.lowerBound <= start && end <= $0.upperBound }) {
          notes.elsewhereCount += 1
        }
      }
    }
    return try inner.submit(batch)
  }
  func poll(_ max: Int, into events: inout [TierEvent]) { inner.poll(max, into: &events) }
  func wait(until deadline: Deadline) -> Bool { inner.wait(until: deadline) }
  func peek(_ names: [PageName], into found: inout [Bool]) { inner.peek(names, into: &found) }
  var usage: TierUsage { inner.usage }
  func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport { try inner.recover(until: deadline) }
  func forget(_ identity: IdentityDigest) throws(RoostError) -> Int { try inner.forget(identity) }
  func drain(until deadline: Deadline) throws(RoostError) { try inner.drain(until: deadline) }
  func close(until deadline: Deadline) { inner.close(until: deadline) }
}

/// A tier whose life is not its engine's.
private final class SharedTier: Tier {
  private let inner: any Tier
  /// Recoveries that fail.
  private let failureCount: Int
  private let recoveries = Atomic(0)
  var recoveryCount: Int { recoveries.load(ordering: .relaxed) }
  private let hangs: Atomic<Bool>
  init(_ inner: any Tier, failureCount: Int = 0, hangs: Bool = false) {
    self.inner = inner
    self.failureCount = failureCount
    self.hangs = Atomic(hangs)
  }
  func letGo() { hangs.store(false, ordering: .releasing) }
  var name: String { inner.name }
  var usage: TierUsage { inner.usage }
  func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket { try inner.submit(batch) }
  func poll(_ max: Int, into events: inout [TierEvent]) { inner.poll(max, into: &events) }
  func wait(until deadline: Deadline) -> Bool { inner.wait(until: deadline) }
  func peek(_ names: [PageName], into found: inout [Bool]) { inner.peek(names, into: &found) }
  func forget(_ identity: IdentityDigest) throws(RoostError) -> Int { try inner.forget(identity) }
  func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport {
    guard recoveries.add(1, ordering: .relaxed).newValue > failureCount else {
      throw RoostError(.outOfResources, "this tier cannot start yet")
    }
    return try inner.recover(until: deadline)
  }
  func drain(until deadline: Deadline) throws(RoostError) { try inner.drain(until: deadline) }
  func close(until deadline: Deadline) { while hangs.load(ordering: .acquiring) { usleep(1000) } }
}

private final class SteppedClock: Clock {
  let now = Atomic<UInt64>(1_000_000_000)
  var nanoseconds: UInt64 { now.load(ordering: .relaxed) }
}
