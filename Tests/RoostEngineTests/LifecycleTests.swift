import Foundation
import RoostBlocks
import RoostPool
import RoostPrimitives
import Testing

@testable import RoostEngine

/// Forgetting, resetting and closing while something still runs.
@Suite struct LifecycleTests {
  @Test func aForgottenPageThatACopyStillWritesAfterAnAbortIsOverwrittenWhenTheCopyEnds() throws {
    let harness = try Harness()
    let store = try harness.beginStore(harness.keys([1]))
    let lease = try #require(store.lease)
    let slot = try #require(store.blocks.first).slot
    let pool = try #require(harness.engine.pool)
    #expect(harness.engine.copiesBegin(lease, attachment: 5))
    harness.engine.abort(lease)
    #expect(harness.engine.forget(harness.identity) == 0, "nothing of it was to be found")
    // The copy goes on.
    pool.memory.bytes(of: slot).initializeMemory(as: UInt8.self, repeating: 0xA5)
    harness.engine.copiesEnd(lease, attachment: 5)
    #expect(pool.memory.bytes(of: slot).allSatisfy { $0 == 0 })
    #expect(harness.engine.statistics.blocks.free == harness.engine.slotCount())
    #expect(harness.reconciles)
  }

  @Test func aClosedEngineTakesNoMoreMemoryOfThePool() throws {
    let pool = PoolConfiguration(name: Harness.uniqueName(), capacity: .kibibytes(256), slotByteCounts: [])
    let group = EngineConfiguration.Group(pageByteCount: 4096, tokensPerBlock: 16)
    let engine = try Engine.open(EngineConfiguration(groups: [group], memory: .pool(pool)))
    _ = try #require(engine.pool).wait(forBytes: .max, until: Harness.soon)
    engine.close(until: Harness.soon)
    engine.waitUntilCommitted(until: Harness.soon)
    #expect(engine.slotCount() == 0)
  }

  @Test func nothingBeginsOnceTheEngineClosesThoughAResetEndsMeanwhile() throws {
    let harness = try Harness()
    let engine = harness.engine
    try harness.store([1])
    let lease = try #require(try harness.beginLoad(harness.keys([1])).lease)
    let closer = try HostThread.start("closer") { engine.close(until: Harness.soon) }
    #expect(
      Harness.eventually {
        guard let began = try? harness.beginStore(harness.keys([2])) else { return true }
        if let lease = began.lease { engine.abort(lease) }
        return false
      })
    #expect(throws: RoostError.self) { try engine.reset(until: .after(seconds: 0.01)) }
    #expect(throws: RoostError.self) { try harness.beginStore(harness.keys([3])) }
    engine.end(lease)
    closer.join()
    #expect(engine.leases().isEmpty)
  }
}
