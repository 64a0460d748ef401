import RoostBlocks
import RoostBuiltins
import RoostDevice
import RoostEngine
import RoostPool
import RoostPrimitives

/// Everything that is not the copy, through the engine's verbs: pages of one cache line that never leave the cache.
final class EngineOverhead {
  static let blockCount = 2048
  private static let shape = LayeredCache.Shape(layerCount: 1, pieceByteCount: 64, blockCount: blockCount)

  private let engine: Engine
  private let plane: LocalDataPlane
  /// Owns the device memory that the plane copies from and to.
  private let cache: LayeredCache
  private let keys: [Key]
  private var states: [KeyState]
  private var loads: [LoadGrant]
  private var stores: [StoreGrant]
  private var copies: [BlockCopy] = []

  init(on device: any Device) throws(RoostError) {
    let pageBytes = EngineOverhead.shape.pageByteCount
    let pool = PoolConfiguration(
      name: "overhead-\(MonotonicClock().nanoseconds)", capacity: .mebibytes(16), slotByteCounts: [])
    let group = EngineConfiguration.Group(pageByteCount: pageBytes, tokensPerBlock: 16)
    // A policy that refuses nothing: every page is to be copied.
    engine = try Engine.open(
      EngineConfiguration(groups: [group], memory: .pool(pool), policy: LeastRecentlyUsed.factory))
    engine.waitUntilCommitted(until: .after(seconds: 10))
    cache = try LayeredCache(EngineOverhead.shape, on: device)
    plane = try LocalDataPlane(engine: engine, device: device, templates: [cache.template])
    let identity = try engine.intern(IdentityDigest(words: (1, 2, 3, 4)))
    keys = (0..<UInt64(EngineOverhead.blockCount)).map {
      Key(identity: identity, group: 0, words: (SplitMix64.mix($0), SplitMix64.mix(~$0), 0, 0))
    }
    let nowhere = SlotNumber(rawValue: 0)
    states = Array(repeating: .absent, count: keys.count)
    loads = Array(repeating: LoadGrant(outcome: .missing, slot: nowhere, generation: 0), count: keys.count)
    stores = Array(repeating: StoreGrant(outcome: .held, slot: nowhere, generation: 0), count: keys.count)
    copies.reserveCapacity(keys.count)
  }

  deinit { engine.close(until: .after(seconds: 1)) }

  /// Stores the first blocks, through to the commit, after making sure that none is there.
  func store(_ count: Int) throws(RoostError) {
    let lease = try keys.withUnsafeBufferPointer { (keys) throws(RoostError) in
      try stores.withUnsafeMutableBufferPointer { (stores) throws(RoostError) in
        try engine.beginStore(RequestID(rawValue: 1), UnsafeBufferPointer(rebasing: keys[..<count]), into: stores)
      }
    }
    guard let lease else { throw RoostError(.corrupt, "the benchmark's pool is full") }
    copies.removeAll(keepingCapacity: true)
    for block in 0..<count {
      let grant = stores[block]
      copies.append(BlockCopy(block: UInt32(block), slot: grant.slot, generation: grant.generation))
    }
    try copy(.store, lease)
    engine.commit(lease)
  }

  /// Matches and loads the first blocks, through to the lease's end.
  func load(_ count: Int) throws(RoostError) {
    let lease = try keys.withUnsafeBufferPointer { (keys) throws(RoostError) in
      let keys = UnsafeBufferPointer(rebasing: keys[..<count])
      states.withUnsafeMutableBufferPointer { _ = engine.match(keys, into: $0) }
      return try loads.withUnsafeMutableBufferPointer { (loads) throws(RoostError) in
        try engine.beginLoad(RequestID(rawValue: 2), keys, into: loads)
      }
    }
    guard let lease else { throw RoostError(.corrupt, "what was just stored cannot be found") }
    copies.removeAll(keepingCapacity: true)
    for block in 0..<count {
      let grant = loads[block]
      copies.append(BlockCopy(block: UInt32(block), slot: grant.slot, generation: grant.generation))
    }
    try copy(.load, lease)
    engine.end(lease)
  }

  /// Empties the cache.
  func reset() throws(RoostError) { try engine.reset(until: .after(seconds: 10)) }

  private func copy(_ verb: CopyVerb, _ lease: LeaseID) throws(RoostError) {
    let job = CopyJob(verb, lease: lease)
    let id = try copies.withUnsafeBufferPointer { (copies) throws(RoostError) in try plane.submit(job, copies) }
    let result = try plane.wait(for: id, until: .after(seconds: 10))
    guard result.isComplete else { throw RoostError(.corrupt, "the copy of the benchmark failed") }
  }
}

extension Bench {
  /// What a request and a block cost beside their copies.
  public static let overhead = Bench(
    name: "overhead", summary: "what a request and a block cost beside their copies: transfer alone, whole engine"
  ) { scale throws(RoostError) in
    let device = try Builtins.devices().open("cpu:0")
    return try TransferBench.overheadRows(on: device, scale) + TransferBench.engineOverheadRows(on: device, scale)
  }
}

extension TransferBench {
  /// `overhead/engine-...`: whole requests through the engine's verbs, of one block, and each further block.
  static func engineOverheadRows(on device: any Device, _ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    let scene = try EngineOverhead(on: device)
    let sampleCount = scale == .smoke ? 3 : 101
    let rounds = scale == .smoke ? 20 : 200
    try scene.store(EngineOverhead.blockCount)
    var results = [
      try Sampling.time(
        name: "overhead/engine-load-request", unit: "us", operationCount: rounds, sampleCount: sampleCount
      ) {
        () throws(RoostError) in
        for _ in 0..<rounds { try scene.load(1) }
      },
      try Sampling.time(
        name: "overhead/engine-load-block", unit: "ns", operationCount: EngineOverhead.blockCount,
        sampleCount: sampleCount
      ) { () throws(RoostError) in try scene.load(EngineOverhead.blockCount) },
    ]
    results[0].reference = "at most 2 us"
    results[1].reference = "at most 300 ns"
    results.append(try storeBlockRow(scene, sampleCount))
    return results
  }

  /// Every sample stores into an empty cache; emptying it is not measured.
  private static func storeBlockRow(_ scene: EngineOverhead, _ sampleCount: Int) throws(RoostError) -> BenchResult {
    var samples: [Double] = []
    for _ in 0..<sampleCount {
      try scene.reset()
      let seconds = try Sampling.seconds { () throws(RoostError) in try scene.store(EngineOverhead.blockCount) }
      samples.append(seconds * 1e9 / Double(EngineOverhead.blockCount))
    }
    return BenchResult(
      name: "overhead/engine-store-block", unit: "ns", samples: samples, reference: "at most 300 ns")
  }
}
