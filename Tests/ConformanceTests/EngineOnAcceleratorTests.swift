import DeviceCUDA
import Foundation
import RoostBlocks
import RoostDevice
import RoostEngine
import RoostPool
import RoostPrimitives
import Testing

/// The whole engine over a simulated accelerator, whose memory no host thread can touch: pages go to the pool and come
/// back byte for byte, whatever the driver's version.
@Suite struct EngineOnAcceleratorTests {
  @Test(arguments: [
    CUDASubject("cuda 11.8", "version=11080;capability=80", lacking: CUDASubject.bothBatches),
    CUDASubject("cuda 12.8", "version=12080", lacking: ["cuMemcpyBatchAsync_v2"]),
    CUDASubject("cuda 13.0"),
    CUDASubject("cuda, kernels") { $0.path = .kernel },
    CUDASubject("cuda without registration", lacking: ["cuMemHostRegister_v2"]),
  ]) func pagesSurviveTheWayToThePoolAndBack(subject: CUDASubject) throws {
    do {
      let rig = try EngineRig(try subject.open())
      let seeds = (0..<24).map { UInt64($0) + 100 }
      for round in 0..<3 as Range<UInt64> {
        let own = seeds.map { $0 + round * 1000 }
        #expect(try rig.store(own) == own.count)
        #expect(try rig.load(own.reversed()) == Array(repeating: 0, count: own.count), "round \(round)")
      }
    }
    #expect(try subject.library.leaks() == [:])
  }

  @Test func everyChunkIsRegisteredAndLetGoOf() throws {
    let subject = CUDASubject("cuda")
    do {
      let rig = try EngineRig(try subject.open())
      let deadline = Deadline.after(seconds: 20)
      while try subject.library.leaks()["registrations"] ?? 0 < rig.chunkCount, !deadline.hasPassed() { usleep(1000) }
      #expect(try subject.library.leaks()["registrations"] == rig.chunkCount)
    }
    #expect(try subject.library.leaks() == [:])
  }

  @Test func aDeviceThatIsLostFailsItsBlocksAndNothingElse() throws {
    let subject = CUDASubject("cuda")
    let rig = try EngineRig(try subject.open())
    let seeds = (0..<8).map { UInt64($0) }
    #expect(try rig.store(seeds) == 8)
    try subject.library.control("lost=0:719")
    #expect(try rig.load(seeds) == Array(repeating: nil, count: 8))
    #expect(rig.ready(seeds) == 8, "the pool lost pages with the device")
  }
}

/// An engine over a small pool, and a layered cache on a device in this process.
final class EngineRig {
  private let engine: Engine
  private let plane: LocalDataPlane
  private let cache: LayeredCache
  private let identity: IdentityID

  init(_ device: any Device) throws {
    let shape = LayeredCache.Shape(layerCount: 4, pieceByteCount: 4096, blockCount: 32)
    let pool = PoolConfiguration(
      name: "rig-\(getpid())-\(UInt32.random(in: 0 ... .max))", capacity: ByteCount(96 * shape.pageByteCount),
      slotByteCounts: [])
    let group = EngineConfiguration.Group(pageByteCount: shape.pageByteCount, tokensPerBlock: 16)
    engine = try Engine.open(EngineConfiguration(groups: [group], memory: .pool(pool)))
    engine.waitUntilCommitted(until: .after(seconds: 30))
    cache = try LayeredCache(shape, on: device)
    plane = try LocalDataPlane(engine: engine, device: device, templates: [cache.template])
    identity = try engine.intern(IdentityDigest(words: (1, 2, 3, 4)))
  }

  deinit {
    plane.close(until: .after(seconds: 10))
    engine.close(until: .after(seconds: 1))
  }

  var chunkCount: Int { engine.pool?.memory.chunks.count ?? 0 }

  private func keys(_ seeds: [UInt64]) -> [Key] {
    seeds.map { Key(identity: identity, group: 0, words: ($0, 1, 2, 3)) }
  }

  func ready(_ seeds: [UInt64]) -> Int {
    var states = [KeyState](repeating: .absent, count: seeds.count)
    return keys(seeds).withUnsafeBufferPointer { keys in
      states.withUnsafeMutableBufferPointer { engine.match(keys, into: $0) }
    }
  }

  /// Stores the patterns of the seeds; returns how many blocks are ready then.
  func store(_ seeds: [UInt64]) throws -> Int {
    for (block, seed) in seeds.enumerated() { cache.fill(UInt32(block), seed: seed) }
    let none = StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: 0), generation: 0)
    var grants = [StoreGrant](repeating: none, count: seeds.count)
    let lease = try keys(seeds).withUnsafeBufferPointer { keys in
      try grants.withUnsafeMutableBufferPointer { try engine.beginStore(RequestID(rawValue: 1), keys, into: $0) }
    }
    let blocks = grants.enumerated().filter { $0.element.outcome == .admitted }
      .map { BlockCopy(block: UInt32($0.offset), slot: $0.element.slot, generation: $0.element.generation) }
    let id = try #require(lease)
    #expect(try copy(.store, blocks, id).isComplete)
    engine.commit(id)
    return ready(seeds)
  }

  /// Loads what is there; returns for each seed the wrong bytes on the device, nil for a failure.
  func load(_ seeds: [UInt64]) throws -> [Int?] {
    for block in seeds.indices { cache.fill(UInt32(block), seed: .max) }
    let none = LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: 0), generation: 0)
    var grants = [LoadGrant](repeating: none, count: seeds.count)
    let lease = try keys(seeds).withUnsafeBufferPointer { keys in
      try grants.withUnsafeMutableBufferPointer { try engine.beginLoad(RequestID(rawValue: 2), keys, into: $0) }
    }
    let blocks = grants.enumerated().map {
      BlockCopy(block: UInt32($0.offset), slot: $0.element.slot, generation: $0.element.generation)
    }
    let id = try #require(lease)
    let result = try? copy(.load, blocks, id)
    engine.end(id)
    guard result?.isComplete == true else { return seeds.map { _ in nil } }
    return seeds.enumerated().map { cache.wrongByteCount(UInt32($0.offset), seed: $0.element) }
  }

  private func copy(_ verb: CopyVerb, _ blocks: [BlockCopy], _ lease: LeaseID) throws -> JobResult {
    let job = try blocks.withUnsafeBufferPointer { try plane.submit(CopyJob(verb, lease: lease), $0) }
    return try plane.wait(for: job, until: .after(seconds: 30))
  }
}
