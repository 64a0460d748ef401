import Foundation
import RoostBlocks
import RoostPool
import RoostPrimitives
import Testing

@testable import RoostEngine

@Suite(.serialized) struct WorkerTests {
  /// An engine without a data plane of its own, and worker processes.
  final class Workers {
    let harness: Harness
    let shape: LayeredCache.Shape

    init(slots: Int, shape: LayeredCache.Shape) throws {
      harness = try Harness(slots: slots, shape: shape)
      self.shape = shape
    }

    func start() throws -> (process: ProbeProcess, plane: RemoteDataPlane) {
      let address = try #require(harness.engine.pool).address
      let process = try ProbeProcess([
        "worker", "\(address)", "\(shape.layerCount)", "\(shape.pieceByteCount)", "\(shape.blockCount)",
      ])
      var attachment: AttachmentID?
      _ = Harness.eventually {
        for case .joined(let id, let pid) in harness.engine.poll() where pid == process.pid { attachment = id }
        return attachment != nil
      }
      return (process, harness.engine.connect(try #require(attachment)))
    }

    func wasLost(_ attachment: AttachmentID) -> Bool {
      Harness.eventually { harness.engine.poll().contains(.gone(attachment)) }
    }
  }

  static let shape = LayeredCache.Shape(layerCount: 4, pieceByteCount: 4096, blockCount: 64)

  @Test func pagesStoredByOneProcessAreLoadedByAnother() throws {
    let workers = try Workers(slots: 32, shape: WorkerTests.shape)
    let first = try workers.start()
    let second = try workers.start()
    let seeds = (0..<20).map { UInt64($0) }
    try first.plane.fill(seeds.map { (UInt32($0), $0) }, until: Harness.soon)
    let store = try workers.harness.beginStore(workers.harness.keys(seeds))
    let lease = try #require(store.lease)
    let job = try store.blocks.withUnsafeBufferPointer { try first.plane.submit(CopyJob(.store, lease: lease), $0) }
    let stored = try first.plane.wait(for: job, until: Harness.soon)
    #expect(stored.isComplete)
    #expect(stored.byteCount == 20 * WorkerTests.shape.pageByteCount)
    #expect(workers.harness.engine.commit(lease) == .published)

    let loading = try workers.harness.beginLoad(workers.harness.keys(seeds))
    let loadLease = try #require(loading.lease)
    let blocks = loading.grants.enumerated().map {
      BlockCopy(block: UInt32(40 - $0.offset), slot: $0.element.slot, generation: $0.element.generation)
    }
    let load = try blocks.withUnsafeBufferPointer {
      try second.plane.submit(CopyJob(.load, lease: loadLease), $0)
    }
    #expect(try second.plane.wait(for: load, until: Harness.soon).isComplete)
    workers.harness.engine.end(loadLease)
    #expect(try second.plane.verify(seeds.map { (UInt32(40 - $0), $0) }, until: Harness.soon) == 0)
    #expect(try second.plane.verify([(40, 1)], until: Harness.soon) > 0, "the check can fail")
    #expect(workers.harness.engine.statistics.attachments == 2)
    try second.plane.stop()
    #expect(workers.wasLost(second.plane.attachment))
    #expect(workers.harness.reconciles)
  }

  @Test func aJobLongerThanAMessageTravelsInPartsAndHasOneResult() throws {
    let shape = LayeredCache.Shape(layerCount: 1, pieceByteCount: 512, blockCount: 12_000)
    let workers = try Workers(slots: 12_000, shape: shape)
    let worker = try workers.start()
    let seeds = (0..<12_000).map { UInt64($0) }
    try worker.plane.fill(seeds.map { (UInt32($0), $0) }, until: Harness.soon)
    let store = try workers.harness.beginStore(workers.harness.keys(seeds))
    let lease = try #require(store.lease)
    var blocks = store.blocks
    blocks[11_000].generation &+= 1
    let job = try blocks.withUnsafeBufferPointer { try worker.plane.submit(CopyJob(.store, lease: lease), $0) }
    let result = try worker.plane.wait(for: job, until: Harness.soon)
    #expect(result.failedBlocks == [11_000])
    #expect(result.byteCount == 11_999 * 512)
  }

  @Test func badJobsAreRefusedByTheWorkerAndItLivesOn() throws {
    let workers = try Workers(slots: 8, shape: WorkerTests.shape)
    let worker = try workers.start()
    let store = try workers.harness.beginStore(workers.harness.keys(0..<2))
    let lease = try #require(store.lease)
    var blocks = store.blocks
    blocks[0].block = 4_000_000_000
    for job in [CopyJob(.store, lease: lease), CopyJob(.store, group: 9, lease: lease)] {
      let id = try blocks.withUnsafeBufferPointer { try worker.plane.submit(job, $0) }
      let result = try worker.plane.wait(for: id, until: Harness.soon)
      #expect(result.failedBlocks == [0, 1])
    }
    let id = try store.blocks.withUnsafeBufferPointer {
      try worker.plane.submit(CopyJob(.store, lease: lease), $0)
    }
    #expect(try worker.plane.wait(for: id, until: Harness.soon).isComplete)
  }

  @Test func aWorkerKilledInTheMiddleOfAStoreLeavesNothingVisibleAndItsSlotsComeBack() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    // 128 MiB a job: some 10 ms of copying.
    let shape = LayeredCache.Shape(layerCount: 8, pieceByteCount: 256 << 10, blockCount: 64)
    let workers = try Workers(slots: 64, shape: shape)
    let engine = workers.harness.engine
    var fencedCount = 0
    for round in 0..<6 {
      let worker = try workers.start()
      let keys = workers.harness.keys(UInt64(round) * 1000..<UInt64(round) * 1000 + 64)
      let store = try workers.harness.beginStore(keys, request: UInt64(round))
      let lease = try #require(store.lease)
      #expect(store.blocks.count == 64, "round \(round), seed \(seed)")
      _ = try store.blocks.withUnsafeBufferPointer { try worker.plane.submit(CopyJob(.store, lease: lease), $0) }
      // Every other round at once, so that the copy is certainly running.
      if round % 2 == 1 { usleep(UInt32.random(in: 0..<12_000, using: &random)) }
      engine.abort(lease)
      // Until its end is known, none of its slots is given out again.
      let during = try workers.harness.beginStore(workers.harness.keys([UInt64(round) * 1000 + 500]))
      let held = Set(store.blocks.map(\.slot))
      let isFenced = engine.statistics.blocks.unkeyed > 0
      fencedCount += isFenced ? 1 : 0
      #expect(!isFenced || during.blocks.allSatisfy { !held.contains($0.slot) }, "round \(round), seed \(seed)")
      if let other = during.lease { engine.abort(other) }
      worker.process.kill()
      #expect(workers.wasLost(worker.plane.attachment))
      #expect(workers.harness.match(keys) == [KeyState](repeating: .absent, count: 64))
      #expect(engine.statistics.blocks.unkeyed == 0, "round \(round), seed \(seed)")
      #expect(engine.leases().isEmpty)
      #expect(workers.harness.reconciles)
    }
    #expect(fencedCount > 0, "no store was given up under its copies, seed \(seed)")
  }

  @Test func theStoreOfAWorkerThatDiesIsGivenUpWithoutAWordFromItsOwner() throws {
    let shape = LayeredCache.Shape(layerCount: 8, pieceByteCount: 256 << 10, blockCount: 64)
    let workers = try Workers(slots: 64, shape: shape)
    let worker = try workers.start()
    let store = try workers.harness.beginStore(workers.harness.keys(0..<64))
    let lease = try #require(store.lease)
    let job = try store.blocks.withUnsafeBufferPointer {
      try worker.plane.submit(CopyJob(.store, lease: lease), $0)
    }
    // Stopped, so that it certainly dies in the middle.
    Glibc.kill(worker.process.pid, SIGSTOP)
    Glibc.kill(worker.process.pid, SIGKILL)
    worker.process.kill()
    #expect(workers.wasLost(worker.plane.attachment))
    let result = try worker.plane.wait(for: job, until: Harness.soon)
    if !result.isComplete {
      #expect(workers.harness.match(workers.harness.keys(0..<64)) == [KeyState](repeating: .absent, count: 64))
      #expect(workers.harness.engine.leases().isEmpty)
      #expect(workers.harness.engine.statistics.blocks.free == workers.harness.engine.slotCount())
    }
    #expect(throws: RoostError.self) {
      try store.blocks.withUnsafeBufferPointer { try worker.plane.submit(CopyJob(.store, lease: nil), $0) }
    }
  }

  @Test func whateverAPeerSendsIsRefusedOrUnderstood() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    let blocks = [BlockCopy(block: 1, slot: SlotNumber(rawValue: 2), generation: 3)]
    let report = WorkerMessage.JobReport(id: JobID(rawValue: 1), status: .failed, failedBlocks: [0], message: "no")
    let whole: [WorkerMessage] = [
      .job(id: JobID(rawValue: 7), verb: .load, group: 3, blocks: blocks), .cancel(JobID(rawValue: 8)),
      .ended(report), .stop,
      .fill(id: JobID(rawValue: 1), probes: [WorkerMessage.PatternProbe(block: 1, seed: 2)]),
      .verify(id: JobID(rawValue: 1), probes: []),
    ]
    for message in whole {
      let bytes = message.encoded()
      let again = bytes.withUnsafeBytes { WorkerMessage(decoding: $0)?.encoded() }
      #expect(again == bytes)
      for count in 0..<bytes.count {
        #expect(bytes[..<count].withUnsafeBytes { WorkerMessage(decoding: $0) } == nil, "cut at \(count)")
      }
    }
    for _ in 0..<20_000 {
      var bytes = whole.randomElement(using: &random)?.encoded() ?? []
      for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0 ... .max, using: &random)
      }
      if let message = bytes.withUnsafeBytes({ WorkerMessage(decoding: $0) }) {
        // Text that is not UTF-8 is mended once; nothing else changes.
        let encoded = message.encoded()
        #expect(encoded.withUnsafeBytes { WorkerMessage(decoding: $0)?.encoded() } == encoded, "seed \(seed)")
      }
    }
  }
}
