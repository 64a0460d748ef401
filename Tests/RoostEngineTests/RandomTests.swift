import Foundation
import RoostBlocks
import RoostEngine
import RoostPool
import RoostPrimitives
import Testing

@Suite struct RandomTests {
  /// Random requests through a pool that is much too small, with stores that are aborted, loads that stay open, pages
  /// that are forgotten. Whatever is loaded must be right to the byte, and the books must balance after every step.
  @Test(arguments: [EngineConfiguration.Verification.adopted, .host])
  func whateverHappensALoadedPageIsRight(verification: EngineConfiguration.Verification) throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    let shape = LayeredCache.Shape(layerCount: 3, pieceByteCount: 520, blockCount: 64)
    let harness = try Harness(slots: 40, shape: shape) { configuration, _ in
      configuration.verification = verification
    }
    var open: [LeaseID] = []
    for step in 0..<1500 {
      let request = UInt64(step) + 10
      let start = UInt64.random(in: 0..<120, using: &random)
      let seeds = Array(start..<start + UInt64.random(in: 1...24, using: &random))
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<4: try harness.store(seeds, request: request)
      case 4..<7:
        let wrong = try harness.load(seeds, request: request)
        #expect(wrong.allSatisfy { $0 == nil || $0 == 0 }, "step \(step), seed \(seed): \(wrong)")
      case 7:
        // Nothing was copied: if it became visible, a later load would find wrong bytes.
        if let lease = try harness.beginStore(harness.keys(seeds), request: request).lease {
          if Bool.random(using: &random) { harness.engine.abort(lease) } else { open.append(lease) }
        }
      case 8:
        if let lease = try harness.beginLoad(harness.keys(seeds), request: request).lease { open.append(lease) }
      default:
        for lease in open { harness.engine.abort(lease) }
        open.removeAll()
        if Int.random(in: 0..<8, using: &random) == 0 { harness.engine.forget(harness.identity) }
      }
      if open.count > 3 { harness.engine.abort(open.removeFirst()) }
      #expect(harness.reconciles, "step \(step), seed \(seed)")
    }
    for lease in open { harness.engine.abort(lease) }
    #expect(harness.engine.statistics.corrupt == 0)
    #expect(harness.engine.statistics.blocks.evicted > 0)
    #expect(harness.engine.leases().isEmpty, "seed \(seed)")
  }

  /// Threads that know nothing of each other use one engine; for the thread sanitizer too.
  @Test func threadsShareAnEngine() throws {
    let shape = LayeredCache.Shape(layerCount: 2, pieceByteCount: 512, blockCount: 128)
    let harness = try Harness(slots: 48, shape: shape)
    let engine = harness.engine
    let plane = harness.plane
    let cache = harness.cache
    let identity = harness.identity
    let failures = Guarded(0)
    let threads = try (0..<4).map { number in
      try HostThread.start("engine-test-\(number)") {
        let blocks = UInt32(number * 32)..<UInt32(number * 32 + 32)
        let wrong = (0..<150).reduce(0) { wrong, round in
          wrong + RandomTests.roundTrip(round, blocks, engine, plane, cache, identity)
        }
        failures.withLock { $0 += wrong }
      }
    }
    for thread in threads { thread.join() }
    #expect(failures.withLock { $0 } == 0)
    #expect(harness.reconciles)
    #expect(engine.leases().isEmpty)
  }

  /// Stores a few pages that all threads share, then loads them; returns the number of wrong bytes.
  private static func roundTrip(
    _ round: Int, _ blocks: Range<UInt32>, _ engine: Engine, _ plane: LocalDataPlane, _ cache: LayeredCache,
    _ identity: IdentityID
  ) -> Int {
    let seeds = (0..<8).map { UInt64((round * 5 + $0) % 80) }
    let keys = seeds.map { Key(identity: identity, group: 0, words: ($0, 1, 2, 3)) }
    let request = RequestID(rawValue: UInt64(blocks.lowerBound) + 1)
    var stores = [StoreGrant](
      repeating: StoreGrant(outcome: .held, slot: SlotNumber(rawValue: 0), generation: 0), count: 8)
    var loads = [LoadGrant](
      repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: 0), generation: 0), count: 8)
    for (index, seed) in seeds.enumerated() { cache.fill(blocks.lowerBound + UInt32(index), seed: seed) }
    do {
      let stored = try keys.withUnsafeBufferPointer { keys in
        try stores.withUnsafeMutableBufferPointer { try engine.beginStore(request, keys, into: $0) }
      }
      if let stored {
        let copies = stores.enumerated().filter { $0.element.outcome == .admitted }.map {
          BlockCopy(
            block: blocks.lowerBound + UInt32($0.offset), slot: $0.element.slot, generation: $0.element.generation)
        }
        let job = try copies.withUnsafeBufferPointer { try plane.submit(CopyJob(.store, lease: stored), $0) }
        _ = try plane.wait(for: job, until: Harness.soon)
        engine.commit(stored)
      }
      let lease = try keys.withUnsafeBufferPointer { keys in
        try loads.withUnsafeMutableBufferPointer { try engine.beginLoad(request, keys, into: $0) }
      }
      guard let lease else { return 0 }
      let copies = loads.enumerated().filter { $0.element.outcome == .leased }.map {
        BlockCopy(
          block: blocks.lowerBound + 16 + UInt32($0.offset), slot: $0.element.slot, generation: $0.element.generation)
      }
      let job = try copies.withUnsafeBufferPointer { try plane.submit(CopyJob(.load, lease: lease), $0) }
      let result = try plane.wait(for: job, until: Harness.soon)
      engine.end(lease)
      guard result.isComplete else { return 1 }
      return loads.enumerated().reduce(0) { wrong, grant in
        guard grant.element.outcome == .leased else { return wrong }
        return wrong + cache.wrongByteCount(blocks.lowerBound + 16 + UInt32(grant.offset), seed: seeds[grant.offset])
      }
    } catch {
      Log.write(.error, "\(error)")
      return 1
    }
  }
}
