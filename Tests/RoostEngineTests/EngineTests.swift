import DeviceCPU
import RoostBlocks
import RoostEngine
import RoostPool
import RoostPrimitives
import Testing

@Suite struct EngineTests {
  @Test func storedPagesComeBackByteForByte() throws {
    let harness = try Harness()
    let seeds = (0..<20).map { UInt64($0) }
    try harness.store(seeds)
    #expect(harness.match(harness.keys(seeds)) == [KeyState](repeating: .ready, count: 20))
    #expect(try harness.load(seeds.reversed()) == [Int?](repeating: 0, count: 20))
    #expect(harness.engine.statistics.blocks.published == 20)
    #expect(harness.reconciles)
  }

  @Test func nothingIsVisibleBeforeCommit() throws {
    let harness = try Harness()
    let store = try harness.beginStore(harness.keys(0..<4))
    #expect(harness.match(harness.keys(0..<4)) == [KeyState](repeating: .pending, count: 4))
    #expect(try harness.beginLoad(harness.keys(0..<4)).lease == nil)
    let lease = try #require(store.lease)
    harness.engine.abort(lease)
    #expect(harness.match(harness.keys(0..<4)) == [KeyState](repeating: .absent, count: 4))
    #expect(harness.engine.commit(lease) == .stale)
    #expect(harness.reconciles)
  }

  @Test func aPageIsPublishedWhenItsLastShardHasArrived() throws {
    let harness = try Harness()
    let lease = try #require(try harness.beginStore(harness.keys(0..<4), shardCount: 3).lease)
    #expect(harness.engine.commit(lease, shard: 2) == .noted)
    #expect(harness.engine.commit(lease, shard: 2) == .stale)
    #expect(harness.engine.commit(lease, shard: 0) == .noted)
    #expect(harness.match(harness.keys([3])) == [.pending])
    #expect(harness.engine.commit(lease, shard: 1) == .published)
    #expect(harness.match(harness.keys([3])) == [.ready])
  }

  @Test func aBlockThatCouldNotBeCopiedIsDroppedAndTheOthersStay() throws {
    let harness = try Harness()
    let store = try harness.beginStore(harness.keys(0..<4))
    let lease = try #require(store.lease)
    let bad = store.blocks[2]
    harness.engine.commit(lease, failed: [(bad.slot, bad.generation)])
    #expect(harness.match(harness.keys(0..<4)) == [.ready, .ready, .absent, .ready])
    #expect(harness.engine.statistics.failedBlocks == 1)
    #expect(harness.reconciles)
  }

  @Test func aFullPoolEvictsTheOldestAndNeverTheRequestItself() throws {
    let harness = try Harness(slots: 8)
    let slots = UInt64(harness.engine.slotCount())
    try harness.store(Array(0..<slots))
    try harness.store(Array(100..<102) + Array(0..<2), request: 2)
    #expect(harness.match(harness.keys([100, 101, 0, 1])) == [KeyState](repeating: .ready, count: 4))
    #expect(harness.match(harness.keys([slots - 1, slots - 2])) == [.absent, .absent])
    #expect(harness.engine.statistics.blocks.evicted == 2)
    #expect(harness.reconciles)
  }

  @Test func aCopyIntoASlotOfAnotherGenerationIsNotMade() throws {
    let harness = try Harness()
    let first = try harness.beginStore(harness.keys(0..<2))
    let lease = try #require(first.lease)
    var stale = first.blocks
    stale[1].generation &+= 1
    let result = try harness.copy(.store, stale, lease)
    #expect(result.failedBlocks == [1])
    #expect(!result.isComplete)
  }

  @Test func slotsUnderARunningCopyAreNotReusedBeforeItEnds() throws {
    // Large pages, so that the copy is still running when the lease is given up.
    let shape = LayeredCache.Shape(layerCount: 4, pieceByteCount: 4 << 20, blockCount: 16)
    let harness = try Harness(slots: 16, shape: shape)
    let store = try harness.beginStore(harness.keys(0..<16))
    let lease = try #require(store.lease)
    let job = try store.blocks.withUnsafeBufferPointer {
      try harness.plane.submit(CopyJob(.store, lease: lease), $0)
    }
    harness.engine.abort(lease)
    let during = try harness.beginStore(harness.keys(100..<116))
    let held = Set(store.blocks.map(\.slot))
    #expect(during.blocks.allSatisfy { !held.contains($0.slot) })
    if let other = during.lease { harness.engine.abort(other) }
    _ = try harness.plane.wait(for: job, until: Harness.soon)
    #expect(try harness.beginStore(harness.keys(200..<216)).blocks.count == 16)
    #expect(harness.reconciles)
  }

  @Test func forgettingAnIdentityLeavesNothingToFind() throws {
    let harness = try Harness()
    let seeds = (0..<10).map { UInt64($0) }
    let store = try harness.store(seeds)
    let other = try harness.engine.intern(IdentityDigest(words: (9, 9, 9, 9)))
    #expect(harness.engine.forget(other) == 0)
    #expect(harness.engine.forget(harness.identity) == 10)
    #expect(harness.match(harness.keys(seeds)) == [KeyState](repeating: .absent, count: 10))
    let pool = try #require(harness.engine.pool)
    for block in store.blocks { #expect(pool.memory.bytes(of: block.slot).allSatisfy { $0 == 0 }) }
    #expect(harness.reconciles)
  }

  @Test func aForgottenPageUnderALeaseIsOverwrittenWhenTheLeaseEnds() throws {
    let harness = try Harness()
    let store = try harness.store([1, 2])
    let pool = try #require(harness.engine.pool)
    let lease = try #require(try harness.beginLoad(harness.keys([1])).lease)
    let other = try #require(try harness.beginLoad(harness.keys([1])).lease)
    #expect(harness.engine.forget(harness.identity) == 2)
    func isErased(_ index: Int) -> Bool { pool.memory.bytes(of: store.blocks[index].slot).allSatisfy { $0 == 0 } }
    #expect(!isErased(0), "a copy may be reading it")
    #expect(isErased(1))
    harness.engine.end(lease)
    #expect(!isErased(0))
    harness.engine.end(other)
    #expect(isErased(0))
    // A slot that comes into use again is not touched when others go.
    try harness.store([7, 8])
    #expect(try harness.load([7, 8]) == [0, 0])
    #expect(harness.reconciles)
  }

  @Test func resetWaitsForLeasesAndSaysWhichDoNotEnd() throws {
    let harness = try Harness()
    try harness.store([1, 2, 3])
    let lease = try #require(try harness.beginLoad(harness.keys([1])).lease)
    let error = #expect(throws: RoostError.self) { try harness.engine.reset(until: .after(seconds: 0.05)) }
    #expect(error?.code == .timedOut)
    #expect(error?.message.contains("request 2") == true)
    #expect(harness.match(harness.keys([1])) == [.ready])
    harness.engine.end(lease)
    try harness.engine.reset(until: Harness.soon)
    #expect(harness.match(harness.keys([1, 2, 3])) == [.absent, .absent, .absent])
    try harness.store([4])
    #expect(harness.reconciles)
  }

  @Test func leaksAreReportedWithOwnerAndAgeAndCanBeReclaimed() throws {
    let harness = try Harness()
    try harness.store([1, 2, 3])
    _ = try harness.beginLoad(harness.keys([1, 2]), request: 77)
    let leaks = harness.engine.leases()
    #expect(leaks.count == 1)
    #expect(leaks.first?.description.contains("load lease of request 77") == true)
    #expect(harness.engine.leases(olderThanSeconds: 1000).isEmpty)
    #expect(harness.engine.reclaim(RequestID(rawValue: 77)) == 1)
    #expect(harness.engine.close(until: Harness.soon).isEmpty)
  }

  @Test func closingReportsWhatIsStillHeld() throws {
    let harness = try Harness()
    try harness.store([1])
    _ = try harness.beginLoad(harness.keys([1]), request: 5)
    let leaks = harness.engine.close(until: .after(seconds: 0.01))
    #expect(leaks.map(\.lease.origin.request.rawValue) == [5])
    #expect(throws: RoostError.self) { try harness.beginStore(harness.keys([2])) }
  }

  @Test func theWatermarkEvictsBehind() throws {
    let harness = try Harness(slots: 20) { configuration, _ in
      configuration.watermark = try Watermark(start: 0.8, stop: 0.5)
    }
    let slots = harness.engine.slotCount()
    try harness.store((0..<UInt64(slots)).map { $0 })
    #expect(harness.engine.statistics.blocks.resident == slots / 2)
    #expect(harness.match(harness.keys([0])) == [.ready])
    #expect(harness.reconciles)
  }

  @Test func aDryRunKeepsTheBooksWithoutMemory() throws {
    let group = EngineConfiguration.Group(pageByteCount: 1 << 30, tokensPerBlock: 16)
    let engine = try Engine.open(EngineConfiguration(groups: [group], memory: .none(slotCount: 4)))
    let identity = try engine.intern(IdentityDigest(words: (1, 2, 3, 4)))
    let keys = (0..<6).map { Key(identity: identity, group: 0, words: (UInt64($0), 0, 0, 0)) }
    var grants = [StoreGrant](
      repeating: StoreGrant(outcome: .held, slot: SlotNumber(rawValue: 0), generation: 0), count: 6)
    let lease = try keys.withUnsafeBufferPointer { keys in
      try grants.withUnsafeMutableBufferPointer { try engine.beginStore(RequestID(rawValue: 1), keys, into: $0) }
    }
    #expect(grants.map(\.outcome) == [.admitted, .admitted, .admitted, .admitted, .refused, .refused])
    engine.commit(try #require(lease))
    #expect(engine.statistics.blocks.resident == 4)
  }

  @Test func severalGroupsMatchAtTheLongestLengthThatAllHave() throws {
    let groups = [
      EngineConfiguration.Group(pageByteCount: 4096, tokensPerBlock: 16),
      EngineConfiguration.Group(pageByteCount: 8192, kind: .window(tokens: 32), tokensPerBlock: 16),
    ]
    let engine = try Engine.open(EngineConfiguration(groups: groups, memory: .none(slotCount: 16)))
    let identity = try engine.intern(IdentityDigest(words: (1, 2, 3, 4)))
    let keys = (0..<2).map { group in
      (0..<8).map { Key(identity: identity, group: UInt16(group), words: (UInt64($0), 0, 0, 0)) }
    }
    for (group, stored) in [(0, keys[0][..<7]), (1, keys[1][3..<6])] {
      var grants = [StoreGrant](
        repeating: StoreGrant(outcome: .held, slot: SlotNumber(rawValue: 0), generation: 0), count: stored.count)
      let lease = try Array(stored).withUnsafeBufferPointer { keys in
        try grants.withUnsafeMutableBufferPointer {
          try engine.beginStore(RequestID(rawValue: 1), keys, group: group, into: $0)
        }
      }
      engine.commit(try #require(lease))
    }
    var states = [KeyState](repeating: .absent, count: 16)
    var needed = [Range<Int>](repeating: 0..<0, count: 2)
    let tokens = (keys[0] + keys[1]).withUnsafeBufferPointer { keys in
      states.withUnsafeMutableBufferPointer { states in
        needed.withUnsafeMutableBufferPointer { engine.match(keys, counts: [8, 8], into: states, needed: $0) }
      }
    }
    #expect(tokens == 96)
    #expect(needed == [0..<6, 4..<6])
  }
}
