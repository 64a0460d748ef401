import DeviceCPU
import RoostBlocks
import RoostPrimitives
import Testing

@testable import RoostEngine
@testable import RoostPool

/// A worker that a serving engine embeds, against an engine in the same process.
@Suite struct EmbeddedWorkerTests {
  @Test func aWorkerThatCannotHearTheControlPlaneAnyMoreDetachesAndItsLeasesEnd() throws {
    let harness = try Harness { configuration, _ in configuration.servesWorkers = true }
    let pool = try #require(harness.engine.pool)
    let worker = try EmbeddedWorker.attach(to: pool.address, device: CPUDevice(), until: Harness.soon)
    try worker.register(harness.cache.template, group: 0, shard: 0)
    #expect(Harness.eventually { harness.engine.statistics.attachments == 1 })
    let store = try harness.beginStore(harness.keys(0..<4))
    let lease = try #require(store.lease)
    try harness.engine.handOut(lease, shardCount: 1)
    // A cut of a chunk that the worker has never heard of: `receive` fails, as it does when a chunk cannot be mapped.
    let last = UInt32(pool.memory.slotCountMax)
    pool.socket?.announce(.cut(ChunkLedger.Piece(chunk: pool.memory.plan.chunkCount, slotClass: 0, slots: 0..<last)))
    #expect(Harness.eventually { harness.engine.statistics.attachments == 0 }, "the owner waits for a deaf worker")
    #expect(Harness.eventually { harness.engine.takeHandOuts(countMax: 1).map(\.outcome) == [.lost] })
    #expect(harness.match(harness.keys(0..<4)) == [KeyState](repeating: .absent, count: 4))
    let error = #expect(throws: RoostError.self) {
      try store.blocks.withUnsafeBufferPointer { try worker.submit(1, CopyJob(.store, lease: lease), $0) }
    }
    #expect(error?.code == .lost)
    #expect(worker.close(until: Harness.soon))
    #expect(harness.engine.close(until: Harness.soon).isEmpty)
  }
}
