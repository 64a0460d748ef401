import Glibc
import RoostBuiltins
import RoostDevice
import RoostEngine
import RoostBlocks
import RoostPool
import RoostPrimitives
import RoostStorage

/// `roost bench promotion`: what one stream of promotions from a disk tier adds to loads from the pool. Loads of eight
/// pages of 2 MiB, alternately alone and beside the stream, in one run. The directory is `ROOST_BENCH_DIR`, or the
/// present one.
public enum PromotionBench {
  /// The workload for `Benches.all`.
  public static let bench = Bench(
    name: "promotion", summary: "loads from the pool, alone and beside a stream of promotions from disk"
  ) { (scale) throws(RoostError) in
    let directory = getenv("ROOST_BENCH_DIR").map { String(cString: $0) } ?? "."
    let scene = try PromotionScene(in: directory, scale)
    defer { scene.end() }
    return try scene.loads()
  }
}

/// An engine whose pool holds some pages and whose tier holds others, more than the pool has room for.
private final class PromotionScene {
  private let scale: BenchScale
  private let path: String
  private let engine: Engine
  private let cache: LayeredCache
  private let plane: LocalDataPlane
  private let identity: IdentityID
  private var nextRequest: UInt64 = 1
  private var stream: PrefetchID?
  private var streamPosition = 0

  private static let pageByteCount = 2 << 20
  private static let loadCount = 8
  private let streamCount: Int

  init(in directory: String, _ scale: BenchScale) throws(RoostError) {
    self.scale = scale
    path = directory + "/roost-bench-\(getpid())"
    streamCount = scale == .full ? 256 : 64
    let slotCount = scale == .full ? 192 : 40
    let bytes = (streamCount + 32) * PromotionScene.pageByteCount
    guard mkdir(path, 0o700) == 0 else {
      throw .system("mkdir", errno, "cannot make a directory to measure in", context: [("path", path)])
    }
    let whole = path.hasPrefix("/") ? path : PromotionScene.workingDirectory + "/" + path
    var setup = TierSetup(try Builtins.tiers().open("disk://\(whole)?capacity=\(bytes + bytes / 4)"))
    setup.admission = .all
    var pool = PoolConfiguration(
      name: "bench-\(getpid())", capacity: ByteCount(slotCount * PromotionScene.pageByteCount), slotByteCounts: [])
    pool.acceptsAttachments = false
    var configuration = EngineConfiguration(
      groups: [EngineConfiguration.Group(pageByteCount: PromotionScene.pageByteCount, tokensPerBlock: 16)],
      memory: .pool(pool), policy: LeastRecentlyUsed.factory)
    configuration.tier = setup
    engine = try Engine.open(configuration)
    engine.waitUntilCommitted(until: .after(seconds: 60))
    identity = try engine.intern(IdentityDigest(words: (1, 2, 3, 4)))
    let device = try Builtins.devices().open("cpu:0")
    let shape = LayeredCache.Shape(
      layerCount: 32, pieceByteCount: PromotionScene.pageByteCount / 32, blockCount: PromotionScene.loadCount)
    cache = try LayeredCache(shape, on: device)
    plane = try LocalDataPlane(engine: engine, device: device, templates: [cache.template])
    try fill()
  }

  private static var workingDirectory: String {
    guard let path = getcwd(nil, 0) else { return "." }
    defer { free(path) }
    return String(cString: path)
  }

  /// Removes everything.
  func end() {
    engine.close(until: .after(seconds: 60))
    guard let listing = opendir(path) else { return }
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
        field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { unlink(path + "/" + name) }
    }
    closedir(listing)
    rmdir(path)
  }

  private func keys(_ range: Range<Int>) -> [Key] {
    range.map { Key(identity: identity, group: 0, words: (SplitMix64.mix(UInt64($0)), UInt64($0), 0, 0)) }
  }

  private func newRequest() -> RequestID {
    nextRequest += 1
    return RequestID(rawValue: nextRequest)
  }

  /// Writes the stream's pages to the tier, a few at a time so that none is evicted before, and then the loads' pages.
  private func fill() throws(RoostError) {
    for first in stride(from: PromotionScene.loadCount, to: PromotionScene.loadCount + streamCount, by: 8) {
      try store(keys(first..<first + 8))
      let deadline = Deadline.after(seconds: 60)
      while let tier = engine.statistics.tier, tier.demotionsQueued + tier.demotionsInFlight > 0 {
        guard !deadline.hasPassed() else { throw RoostError(.timedOut, "the tier of the bench does not keep up") }
        usleep(200)
      }
    }
    try store(keys(0..<PromotionScene.loadCount))
  }

  private func store(_ keys: [Key]) throws(RoostError) {
    var grants = [StoreGrant](
      repeating: StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: 0), generation: 0), count: keys.count)
    let request = newRequest()
    let lease = try keys.withUnsafeBufferPointer { (keys) throws(RoostError) in
      try grants.withUnsafeMutableBufferPointer { (grants) throws(RoostError) in
        try engine.beginStore(request, keys, into: grants)
      }
    }
    if let lease { engine.commit(lease) }
  }

  /// Keeps one request's promotions going: when they have arrived they are let go, and the next ones begin.
  private func keepStreaming() throws(RoostError) {
    if let stream {
      guard engine.progress(of: stream)?.isOver ?? true else { return }
      engine.endPrefetch(stream)
    }
    let first = PromotionScene.loadCount + streamPosition
    streamPosition = (streamPosition + 16) % streamCount
    let keys = keys(first..<first + 16)
    let request = newRequest()
    let answer = try keys.withUnsafeBufferPointer { (keys) throws(RoostError) in
      try engine.prefetch(request, keys, until: .after(seconds: 60))
    }
    if case .started(let id) = answer { stream = id } else { stream = nil }
  }

  private func stopStreaming() {
    // Short turns end before the first page has come.
    if let stream {
      let deadline = Deadline.after(seconds: 60)
      while engine.progress(of: stream)?.isOver == false, !deadline.hasPassed() { usleep(200) }
      engine.endPrefetch(stream)
    }
    stream = nil
    while let tier = engine.statistics.tier, tier.promotionsInFlight > 0 { usleep(200) }
  }

  /// Microseconds of one load of eight pages, all of them ready.
  private func load() throws(RoostError) -> Double {
    let keys = keys(0..<PromotionScene.loadCount)
    var grants = [LoadGrant](
      repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: 0), generation: 0), count: keys.count)
    let request = newRequest()
    let seconds = try Sampling.seconds { () throws(RoostError) in
      let lease = try keys.withUnsafeBufferPointer { (keys) throws(RoostError) in
        try grants.withUnsafeMutableBufferPointer { (grants) throws(RoostError) in
          try engine.beginLoad(request, keys, into: grants)
        }
      }
      let copies = grants.enumerated().filter { $0.element.outcome == .leased }.map {
        BlockCopy(block: UInt32($0.offset), slot: $0.element.slot, generation: $0.element.generation)
      }
      guard let lease, copies.count == keys.count else {
        throw RoostError(.notFound, "the pages of the bench were evicted")
      }
      let job = try copies.withUnsafeBufferPointer { (copies) throws(RoostError) in
        try plane.submit(CopyJob(.load, lease: lease), copies)
      }
      _ = try plane.wait(for: job, until: .after(seconds: 10))
      engine.end(lease)
    }
    // The pages of the loads are the last used, as those of a busy request would be.
    keys.withUnsafeBufferPointer { engine.touch(request, $0) }
    return seconds * 1e6
  }

  /// Loads alone and beside the stream, in alternating turns.
  func loads() throws(RoostError) -> [BenchResult] {
    let turnCount = scale == .full ? 20 : 2
    let loadsPerTurn = scale == .full ? 100 : 5
    var alone: [Double] = []
    var beside: [Double] = []
    for _ in 0..<turnCount {
      for _ in 0..<loadsPerTurn { alone.append(try load()) }
      for _ in 0..<loadsPerTurn {
        try keepStreaming()
        beside.append(try load())
      }
      stopStreaming()
    }
    (alone, beside) = (alone.sorted(), beside.sorted())
    let promoted = engine.statistics.tier?.promotedBytes ?? 0
    guard promoted > 0 else { throw RoostError(.corrupt, "nothing was promoted while the bench ran") }
    func row(_ name: String, _ share: Double) -> BenchResult {
      let index = min(alone.count - 1, Int(Double(alone.count) * share))
      return BenchResult(
        name: name, median: beside[index], min: beside[0], max: beside[beside.count - 1], unit: "us",
        reference: "alone, the same run", ratio: beside[index] / alone[index])
    }
    return [row("load-median/8x2MiB", 0.5), row("load-p99/8x2MiB", 0.99)]
  }
}
