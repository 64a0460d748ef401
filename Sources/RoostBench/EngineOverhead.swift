import RoostBlocks
import RoostBuiltins
import RoostDevice
import RoostEngine
import RoostPool
import RoostPrimitives

/// Everything that is not the copy, through the engine's verbs: pages of one cache line that never leave the cache.
final class EngineOverhead {
  static let blockCount = 2048
  /// Slots of the pool: four requests of `blockCount`, so that it is full in the steady state that is measured.
  private static let slotCount = 4 * blockCount
  /// Different requests, in turn: twice as many as the pool holds, so that none is found when it comes again.
  private static let requestCount = 8
  static let requestsToFill = slotCount / blockCount
  private static let shape = LayeredCache.Shape(layerCount: 1, pieceByteCount: 64, blockCount: blockCount)

  private let engine: Engine
  private let plane: LocalDataPlane
  /// Owns the device memory that the plane copies from and to.
  private let cache: LayeredCache
  private let keys: [Key]
  private var nextRequest = 0
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
    var configuration = EngineConfiguration(
      groups: [group], memory: .pool(pool), policy: LeastRecentlyUsed.factory)
    configuration.slotCountMax = EngineOverhead.slotCount
    engine = try Engine.open(configuration)
    engine.waitUntilCommitted(until: .after(seconds: 10))
    cache = try LayeredCache(EngineOverhead.shape, on: device)
    plane = try LocalDataPlane(engine: engine, device: device, templates: [cache.template])
    let identity = try engine.intern(IdentityDigest(words: (1, 2, 3, 4)))
    keys = (0..<UInt64(EngineOverhead.requestCount * EngineOverhead.blockCount)).map {
      Key(identity: identity, group: 0, words: (SplitMix64.mix($0), SplitMix64.mix(~$0), 0, 0))
    }
    let nowhere = SlotNumber(rawValue: 0)
    states = Array(repeating: .absent, count: EngineOverhead.blockCount)
    loads = Array(
      repeating: LoadGrant(outcome: .missing, slot: nowhere, generation: 0), count: EngineOverhead.blockCount)
    stores = Array(
      repeating: StoreGrant(outcome: .held, slot: nowhere, generation: 0), count: EngineOverhead.blockCount)
    copies.reserveCapacity(EngineOverhead.blockCount)
  }

  deinit { engine.close(until: .after(seconds: 1)) }

  /// Stores the next request, of new blocks, through to the commit; they take the slots of the oldest.
  func store() throws(RoostError) {
    let first = nextRequest * EngineOverhead.blockCount
    nextRequest = (nextRequest + 1) % EngineOverhead.requestCount
    let lease = try keys.withUnsafeBufferPointer { (keys) throws(RoostError) in
      let keys = UnsafeBufferPointer(rebasing: keys[first..<first + EngineOverhead.blockCount])
      return try stores.withUnsafeMutableBufferPointer { (stores) throws(RoostError) in
        try engine.beginStore(RequestID(rawValue: 1), keys, into: stores)
      }
    }
    guard let lease else { throw RoostError(.corrupt, "the benchmark's pool is full") }
    copies.removeAll(keepingCapacity: true)
    for block in 0..<EngineOverhead.blockCount {
      let grant = stores[block]
      copies.append(BlockCopy(block: UInt32(block), slot: grant.slot, generation: grant.generation))
    }
    try copy(.store, lease)
    engine.commit(lease)
  }

  /// Matches and loads the first blocks of the first request, through to the lease's end.
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
    try scene.store()
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
    // Until the pool is full; from there on every block that is stored evicts another.
    for _ in 0..<EngineOverhead.requestsToFill { try scene.store() }
    results.append(
      try Sampling.time(
        name: "overhead/engine-store-block", unit: "ns", operationCount: EngineOverhead.blockCount,
        sampleCount: sampleCount
      ) { () throws(RoostError) in try scene.store() })
    results[2].reference = "at most 300 ns"
    return results
  }
}
