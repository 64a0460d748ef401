import Foundation
import RoostBlocks
import RoostEngine
import RoostPool
import RoostPrimitives
import Testing

@Suite struct SealTests {
  @Test func underHostVerificationAFlippedBitIsAMissAndIsCounted() throws {
    let harness = try Harness { configuration, _ in configuration.verification = .host }
    let seeds = (0..<8).map { UInt64($0) }
    let store = try harness.store(seeds)
    #expect(try harness.load(seeds) == [Int?](repeating: 0, count: 8))
    let pool = try #require(harness.engine.pool)
    pool.memory.bytes(of: store.blocks[5].slot)[777] ^= 4
    #expect(try harness.load(seeds) == [0, 0, 0, 0, 0, nil, 0, 0])
    #expect(harness.match(harness.keys([5])) == [.absent])
    #expect(harness.engine.statistics.corrupt == 1)
    #expect(harness.engine.statistics.sealed == 8)
    try harness.store([5])
    #expect(try harness.load([5]) == [0])
    #expect(harness.reconciles)
  }

  @Test func withoutVerificationAFlippedBitReachesTheDevice() throws {
    let harness = try Harness()
    let store = try harness.store([1])
    let pool = try #require(harness.engine.pool)
    pool.memory.bytes(of: store.blocks[0].slot)[777] ^= 4
    #expect(try harness.load([1]) == [1])
  }

  @Test func aKeptPoolIsAdoptedWithEveryPageAfterACleanClose() throws {
    try withDirectory { directory in
      let name = Harness.uniqueName()
      let seeds = (0..<24).map { UInt64($0) }
      do {
        let first = try Harness { keep(&$1, directory, name) }
        try first.store(seeds)
        first.engine.close(until: Harness.soon)
      }
      let second = try Harness { keep(&$1, directory, name) }
      #expect(second.engine.statistics.blocks.adopted == 24)
      #expect(try second.load(seeds) == [Int?](repeating: 0, count: 24))
      #expect(second.engine.statistics.checked == 24)
      #expect(try second.load(seeds) == [Int?](repeating: 0, count: 24))
      #expect(second.engine.statistics.checked == 24, "a page is checked once")
      #expect(second.reconciles)
    }
  }

  @Test func aPageThatWasDamagedBetweenOwnersIsAMiss() throws {
    try withDirectory { directory in
      let name = Harness.uniqueName()
      do {
        let first = try Harness { keep(&$1, directory, name) }
        let store = try first.store([1, 2, 3])
        let pool = try #require(first.engine.pool)
        first.engine.close(until: Harness.soon)
        pool.memory.bytes(of: store.blocks[1].slot)[0] ^= 1
      }
      let second = try Harness { keep(&$1, directory, name) }
      #expect(try second.load([1, 2, 3]) == [0, nil, 0])
      #expect(second.engine.statistics.corrupt == 1)
    }
  }

  @Test func anOwnerKilledAnywhereLeavesNoWrongPageAndLosesNoneThatWasSealed() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    try withDirectory { directory in
      let name = Harness.uniqueName()
      let shape = Harness.shape
      var next: UInt64 = 0
      for round in 0..<6 {
        let owner = try ProbeProcess([
          "owner", directory, name, "\(64 * shape.pageByteCount)", "\(shape.layerCount)", "\(shape.pieceByteCount)",
          "\(next)",
        ])
        // It has sealed something; the kill falls anywhere in what follows.
        try #require(owner.waitForLines(Int.random(in: 1...4, using: &random)), "round \(round), seed \(seed)")
        usleep(UInt32.random(in: 0..<20_000, using: &random))
        owner.kill()
        let committed = owner.outputLines().compactMap(UInt64.init)
        let harness = try Harness(slots: 64) { keep(&$1, directory, name) }
        let last = try #require(committed.last, "round \(round), seed \(seed)")
        // The last requests and some that were never stored; what is found must be right to the byte.
        let seeds = (last > 24 ? last - 24 : 0)..<(last + 16)
        let found = try harness.load(Array(seeds))
        #expect(found.allSatisfy { $0 == nil || $0 == 0 }, "round \(round), seed \(seed): \(found)")
        // The last request that was sealed is the newest in the pool, so nothing has evicted it.
        let sealed = try harness.load((last..<last + 8).map { $0 })
        #expect(sealed == [Int?](repeating: 0, count: 8), "round \(round), seed \(seed), request \(last)")
        #expect(harness.engine.statistics.corrupt == 0, "round \(round), seed \(seed)")
        #expect(harness.reconciles)
        next = last + 100
      }
    }
  }

  private func keep(_ pool: inout PoolConfiguration, _ directory: String, _ name: String) {
    pool.name = name
    pool.backing = .directory(path: directory, keep: true)
  }

  private func withDirectory(_ body: (String) throws -> Void) throws {
    let path = "/dev/shm/" + Harness.uniqueName()
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
  }
}
