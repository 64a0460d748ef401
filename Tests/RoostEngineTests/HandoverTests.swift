import Foundation
import RoostBlocks
import RoostEngine
import RoostPool
import RoostPrimitives
import Testing

/// One owner after another, and what the first may still do.
@Suite struct HandoverTests {
  @Test func aClosedEngineTouchesNothingOfItsSuccessor() throws {
    try withKeptPool { open in
      let first = try open(Harness.shape)
      try first.store([1, 2, 3])
      first.engine.close(until: Harness.soon)
      let second = try open(Harness.shape)
      try second.store([4, 5])
      // Everything that a confused caller might still say to the first.
      #expect(first.engine.forget(first.identity) == 0)
      first.engine.touch(RequestID(rawValue: 9), keys: first.keys([1]))
      #expect(throws: RoostError.self) { try first.beginStore(first.keys([6])) }
      #expect((try? first.beginLoad(first.keys([1])))?.lease == nil)
      first.engine.reclaim(RequestID(rawValue: 1))
      #expect(first.engine.close(until: Harness.soon).isEmpty)
      #expect(try second.load([1, 2, 3, 4, 5]) == [0, 0, 0, 0, 0])
      #expect(second.reconciles)
    }
  }

  @Test func aPageStoredIntoAnAdoptedSlotIsNotCheckedAgainstTheOldSeal() throws {
    try withKeptPool { open in
      let first = try open(Harness.shape)
      try first.store((0..<32).map { UInt64($0) })
      first.engine.close(until: Harness.soon)
      let second = try open(Harness.shape)
      #expect(second.engine.statistics.blocks.adopted == 32)
      // All slots are in use: these evict adopted pages.
      try second.store((100..<116).map { UInt64($0) })
      #expect(try second.load((100..<116).map { UInt64($0) }) == [Int?](repeating: 0, count: 16))
      #expect(second.engine.statistics.checked == 0, "none of these came from the former owner")
      #expect(second.engine.statistics.corrupt == 0)
    }
  }

  @Test func pagesOfAnotherSizeAreNotTakenOver() throws {
    try withKeptPool { open in
      let first = try open(Harness.shape)
      try first.store([1, 2, 3])
      first.engine.close(until: Harness.soon)
      let smaller = LayeredCache.Shape(layerCount: 2, pieceByteCount: 4096, blockCount: 64)
      let second = try open(smaller)
      #expect(second.match(second.keys([1, 2, 3])) == [.absent, .absent, .absent])
      try second.store([1, 2])
      #expect(try second.load([1, 2, 3]) == [0, 0, nil])
      #expect(second.reconciles)
    }
  }

  @Test func aResetWhileAPoolIsSealedLeavesNothingToFindAndNothingToAdopt() throws {
    try withKeptPool { open in
      let first = try open(Harness.shape)
      for round in 0..<8 {
        try first.store((0..<16).map { UInt64(round * 100 + $0) })
        try first.engine.reset(until: Harness.soon)
        #expect(first.engine.statistics.blocks.resident == 0)
      }
      first.engine.close(until: Harness.soon)
      let second = try open(Harness.shape)
      #expect(second.engine.statistics.blocks.adopted == 0)
    }
  }

  private func withKeptPool(_ body: ((LayeredCache.Shape) throws -> Harness) throws -> Void) throws {
    let name = Harness.uniqueName()
    let path = "/dev/shm/" + name
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body { shape in
      try Harness(shape: shape) { _, pool in
        pool.name = name
        pool.backing = .directory(path: path, keep: true)
      }
    }
  }
}

extension Engine {
  fileprivate func touch(_ request: RequestID, keys: [Key]) {
    keys.withUnsafeBufferPointer { touch(request, $0) }
  }
}
