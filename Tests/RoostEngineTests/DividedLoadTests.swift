import DeviceCPU
import RoostBlocks
import RoostDevice
import RoostLayout
import RoostPool
import RoostPrimitives
import RoostTransfer
import Testing

@testable import RoostEngine

/// Loads whose pages are copied in ranges, the first layers of all blocks first.
@Suite struct DividedLoadTests {
  /// Four layers of pages on a device, seen byte by byte.
  private struct Cache {
    static let layers = 4, piece = 4096, blocks = 64
    let memory: DeviceMemory
    let template: PageTemplate
    let bytes: UnsafeMutableRawBufferPointer

    init(on device: any Device) throws {
      let byteCount = Cache.layers * Cache.blocks * Cache.piece
      memory = try device.allocate(byteCount: byteCount)
      bytes = UnsafeMutableRawBufferPointer(
        start: UnsafeMutableRawPointer(bitPattern: memory.address), count: byteCount)
      let region = PagedRegion(
        address: memory.address, byteCount: byteCount, blockStrideBytes: Cache.piece, blockCount: Cache.blocks)
      let parts = try (0..<Cache.layers).map { layer in
        let axes = [Axis("content", Cache.piece, strideBytes: 1)]
        return PagePart(
          region: 0,
          device: try Layout(axes: axes, itemByteCount: 1, offsetBytes: layer * Cache.blocks * Cache.piece),
          slot: try Layout(axes: axes, itemByteCount: 1, offsetBytes: layer * Cache.piece))
      }
      template = try PageTemplate(regions: [region], parts: parts, slotByteCount: Cache.layers * Cache.piece)
    }

    static func value(_ block: Int, _ layer: Int) -> UInt8 { UInt8(1 + block * layers + layer) }

    func fill(_ block: Int, _ value: (Int) -> UInt8) {
      for layer in 0..<Cache.layers {
        let start = (layer * Cache.blocks + block) * Cache.piece
        for index in start..<start + Cache.piece { bytes[index] = value(layer) }
      }
    }

    /// The layers of a block that hold, to the last byte, what was stored for the block `stored`.
    func rightLayers(_ block: Int, stored: Int) -> [Int] {
      (0..<Cache.layers).filter { layer in
        let start = (layer * Cache.blocks + block) * Cache.piece
        return bytes[start..<start + Cache.piece].allSatisfy { $0 == Cache.value(stored, layer) }
      }
    }
  }

  /// An engine, a worker on a gated device, eight stored pages, and a load of them into the blocks from 32 on.
  private final class Bench {
    static let pages = 8
    let harness: Harness
    let device: GatedDevice
    let worker: EmbeddedWorker
    let cache: Cache
    var lease = LeaseID(rawValue: 0)
    var blocks: [BlockCopy] = []

    init(gateBefore copies: Int, failing: Int? = nil) throws {
      let harness = try Harness { configuration, _ in configuration.servesWorkers = true }
      self.harness = harness
      device = try GatedDevice(CPUDevice(), before: copies, failing: failing)
      cache = try Cache(on: device)
      worker = try EmbeddedWorker.attach(
        to: try #require(harness.engine.pool).address, device: device, until: Harness.soon)
      try worker.register(cache.template, group: 0, shard: 0)
      try worker.divide(group: 0, at: [Cache.piece, 3 * Cache.piece])
      #expect(Harness.eventually { harness.engine.statistics.attachments == 1 })
      for block in 0..<Bench.pages { cache.fill(block) { Cache.value(block, $0) } }
      let store = try harness.beginStore(harness.keys(0..<UInt64(Bench.pages)))
      let stored = try #require(store.lease)
      try harness.engine.handOut(stored, shardCount: 1)
      try store.blocks.withUnsafeBufferPointer { try worker.submit(1, CopyJob(.store, lease: stored), $0) }
      _ = try worker.wait(for: 1, until: Harness.soon)
      #expect(Harness.eventually { harness.engine.takeHandOuts(countMax: 1).map(\.outcome) == [.done] })
    }

    func startLoad(spoiling spoiled: Int? = nil) throws {
      let load = try harness.beginLoad(harness.keys(0..<UInt64(Bench.pages)))
      lease = try #require(load.lease)
      try harness.engine.handOut(lease, shardCount: 1)
      blocks = load.grants.enumerated().map {
        BlockCopy(block: UInt32(32 + $0.offset), slot: $0.element.slot, generation: $0.element.generation)
      }
      if let spoiled { blocks[spoiled].generation += 1 }
      try blocks.withUnsafeBufferPointer { try worker.submit(2, CopyJob(.load, lease: lease), divided: true, $0) }
    }

    var rightLayers: Set<[Int]> { Set((0..<Bench.pages).map { cache.rightLayers(32 + $0, stored: $0) }) }

    func end() {
      #expect(worker.close(until: Harness.soon))
      #expect(harness.engine.close(until: Harness.soon).isEmpty)
      try? device.free(cache.memory)
    }
  }

  @Test func theFirstLayersOfAllBlocksAreThereWhileTheOthersAreStillToCome() throws {
    let bench = try Bench(gateBefore: 1)
    defer { bench.end() }
    try bench.startLoad()
    try bench.worker.wait(for: 2, range: 0, until: Harness.soon)
    #expect(bench.rightLayers == [[0]])
    // The second range cannot end before the gate opens, so this is no matter of time.
    let error = #expect(throws: RoostError.self) {
      try bench.worker.wait(for: 2, range: 1, until: .after(seconds: 0.02))
    }
    #expect(error?.code == .timedOut)
    #expect(bench.worker.poll(countMax: 8).isEmpty, "a job has one result, when all of it is over")
    bench.device.open()
    try bench.worker.wait(for: 2, range: 1, until: Harness.soon)
    #expect(bench.rightLayers.allSatisfy { $0.starts(with: [0, 1, 2]) })
    try bench.worker.wait(for: 2, range: 2, until: Harness.soon)
    #expect(bench.rightLayers == [[0, 1, 2, 3]])
    let result = try bench.worker.wait(for: 2, until: Harness.soon)
    guard case .done = result.outcome else {
      Issue.record("\(result.outcome)")
      return
    }
    #expect(result.byteCount == Bench.pages * Harness.shape.pageByteCount)
    #expect(result.failedBlocks.isEmpty)
    #expect(Harness.eventually { bench.harness.engine.takeHandOuts(countMax: 8).map(\.lease) == [bench.lease] })
    #expect(throws: RoostError.self) { try bench.worker.wait(for: 2, range: 0, until: Harness.soon) }
  }

  @Test func aLeaseThatIsTakenBackIsHeldUntilItsLastRangeIsOver() throws {
    let bench = try Bench(gateBefore: 1)
    defer { bench.end() }
    try bench.startLoad()
    try bench.worker.wait(for: 2, range: 0, until: Harness.soon)
    bench.harness.engine.end(bench.lease)
    // The gate is closed: whenever this is asked, a copy of the lease is still to end.
    for _ in 0..<50 {
      #expect(bench.harness.engine.takeHandOuts(countMax: 8).isEmpty)
      HostThread.sleep(seconds: 0.001)
    }
    bench.device.open()
    #expect(Harness.eventually { bench.harness.engine.takeHandOuts(countMax: 8).map(\.lease) == [bench.lease] })
    _ = try bench.worker.wait(for: 2, until: Harness.soon)
  }

  @Test func aPageWithoutItsSlotFailsOnceAndTheOthersAreWhole() throws {
    let bench = try Bench(gateBefore: .max)
    defer { bench.end() }
    try bench.startLoad(spoiling: 3)
    let result = try bench.worker.wait(for: 2, until: Harness.soon)
    #expect(result.failedBlocks == [3])
    #expect(bench.rightLayers == [[], [0, 1, 2, 3]])
    var results: [HandOutResult] = []
    #expect(
      Harness.eventually {
        results += bench.harness.engine.takeHandOuts(countMax: 8)
        return !results.isEmpty
      })
    #expect(results.map(\.failedPositions) == [[3]])
  }

  @Test func aRangeThatTheDeviceFailsToCopyFailsTheJob() throws {
    for failing in 0..<3 {
      let bench = try Bench(gateBefore: .max, failing: failing)
      defer { bench.end() }
      try bench.startLoad()
      for range in 0..<3 { try bench.worker.wait(for: 2, range: range, until: Harness.soon) }
      let result = try bench.worker.wait(for: 2, until: Harness.soon)
      guard case .failed = result.outcome else {
        Issue.record("range \(failing) failed, and the job is \(result.outcome)")
        continue
      }
      #expect(result.failedBlocks == Array(0..<Bench.pages))
    }
  }

  @Test func aJobIsWhatAllItsPartsAreInWhateverOrderTheyEnd() throws {
    let lost = RoostError(.lost, "gone")
    let ends: [JobResult.Outcome] = [.done, .cancelled, .failed(lost)]
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
      var jobs = EmbeddedJobs()
      let parts = (5...7).map { JobID(rawValue: $0) }
      jobs.begin(EmbeddedJobs.Running(number: 9, lease: nil, shard: 0, blocks: [], parts: parts))
      for part in order {
        #expect(jobs.isRunning(parts[part]))
        #expect(jobs.take(countMax: 1).isEmpty)
        _ = jobs.end(
          JobResult(
            job: parts[part], lease: nil, outcome: ends[part], failedBlocks: part == 0 ? [4] : [part], byteCount: 10,
            seconds: 1))
        #expect(!jobs.isRunning(parts[part]))
      }
      let taken = jobs.take(9)
      let result = try #require(taken)
      guard case .failed = result.outcome else {
        Issue.record("order \(order): \(result.outcome)")
        continue
      }
      #expect(result.failedBlocks == [1, 2, 4])
      #expect(result.byteCount == 30)
      #expect(jobs.isIdle)
    }
  }

  @Test func pagesAreCutOnlyWhereTheyCanBe() throws {
    let bench = try Bench(gateBefore: .max)
    defer { bench.end() }
    for bounds in [[0], [Harness.shape.pageByteCount], [2, 2], [9, 3], [-1]] {
      #expect(throws: RoostError.self) { try bench.worker.divide(group: 0, at: bounds) }
    }
    #expect(throws: RoostError.self) { try bench.worker.divide(group: 1, at: [1]) }
    try bench.worker.divide(group: 0, at: [])
    try bench.startLoad()
    _ = try bench.worker.wait(for: 2, until: Harness.soon)
    #expect(bench.rightLayers == [[0, 1, 2, 3]])
  }
}
