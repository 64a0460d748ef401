import DeviceCPU
import Glibc
import RoostBlocks
import RoostEngine
import RoostPool
import RoostPrimitives

/// A process for the engine's tests to start and kill: a worker, or the owner of a kept pool.
///
///     EngineProbe worker ADDRESS LAYERS PIECE_BYTES BLOCKS
///     EngineProbe owner DIRECTORY NAME CAPACITY_BYTES LAYERS PIECE_BYTES FIRST_KEY
///
/// The owner stores pages for ever, request after request, and writes the number of each request whose pages are
/// committed and sealed as a line to standard output.
@main struct EngineProbe {
  static func main() {
    let arguments = Array(CommandLine.arguments.dropFirst())
    do {
      if arguments.first == "worker" { try worker(arguments) } else { try owner(arguments) }
    } catch {
      Log.write(.error, "\(error)")
      exit(1)
    }
  }

  private static func worker(_ arguments: [String]) throws {
    let shape = LayeredCache.Shape(
      layerCount: number(arguments[2]), pieceByteCount: number(arguments[3]), blockCount: number(arguments[4]))
    let device = try CPUDevice()
    let cache = try LayeredCache(shape, on: device)
    let attachment = try PoolAttachment.attach(
      to: try PoolAddress(parsing: arguments[1]), until: .after(seconds: 60))
    let plane = try LocalDataPlane(attachment: attachment, device: device, templates: [cache.template])
    let probe = Worker.Probe(fill: { cache.fill($0, seed: $1) }, verify: { cache.wrongByteCount($0, seed: $1) })
    try Worker(attachment: attachment, plane: plane, probe: probe).run()
  }

  private static func owner(_ arguments: [String]) throws {
    let shape = LayeredCache.Shape(
      layerCount: number(arguments[4]), pieceByteCount: number(arguments[5]), blockCount: 8)
    var pool = PoolConfiguration(name: arguments[2], capacity: ByteCount(number(arguments[3])), slotByteCounts: [])
    pool.backing = .directory(path: arguments[1], keep: true)
    let group = EngineConfiguration.Group(pageByteCount: shape.pageByteCount, tokensPerBlock: 16)
    // LRU keeps the newest pages, those that the test looks for.
    let engine = try Engine.open(
      EngineConfiguration(groups: [group], memory: .pool(pool), policy: LeastRecentlyUsed.factory))
    let device = try CPUDevice()
    let cache = try LayeredCache(shape, on: device)
    let plane = try LocalDataPlane(engine: engine, device: device, templates: [cache.template])
    let identity = try engine.intern(IdentityDigest(words: (1, 2, 3, 4)))
    engine.waitUntilCommitted(until: .after(seconds: 60))
    var first = UInt64(number(arguments[6]))
    while true {
      try store(first, shape.blockCount, engine, plane, cache, identity)
      while engine.statistics.sealed < engine.statistics.blocks.published { usleep(50) }
      print(first)
      fflush(nil)
      first += UInt64(shape.blockCount)
    }
  }

  private static func store(
    _ first: UInt64, _ count: Int, _ engine: Engine, _ plane: LocalDataPlane, _ cache: LayeredCache,
    _ identity: IdentityID
  ) throws {
    let seeds = (0..<UInt64(count)).map { first + $0 }
    for (block, seed) in seeds.enumerated() { cache.fill(UInt32(block), seed: seed) }
    let keys = seeds.map { Key(identity: identity, group: 0, words: ($0, 1, 2, 3)) }
    var grants = [StoreGrant](
      repeating: StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: 0), generation: 0), count: count)
    let lease = try keys.withUnsafeBufferPointer { keys in
      try grants.withUnsafeMutableBufferPointer { try engine.beginStore(RequestID(rawValue: first), keys, into: $0) }
    }
    guard let lease else { return }
    var blocks: [BlockCopy] = []
    for (block, grant) in grants.enumerated() where grant.outcome == .admitted {
      blocks.append(BlockCopy(block: UInt32(block), slot: grant.slot, generation: grant.generation))
    }
    let job = try blocks.withUnsafeBufferPointer { try plane.submit(CopyJob(.store, lease: lease), $0) }
    let result = try plane.wait(for: job, until: .after(seconds: 60))
    if result.isComplete { engine.commit(lease) } else { engine.abort(lease) }
  }

  private static func number(_ text: String) -> Int { Int(text) ?? 0 }
}
