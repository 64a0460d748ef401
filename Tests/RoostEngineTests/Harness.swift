import DeviceCPU
import Foundation
import RoostBlocks
import RoostEngine
import RoostPool
import RoostPrimitives

/// An engine over a small pool, and a layered cache on the CPU device in this process.
final class Harness {
  let engine: Engine
  let plane: LocalDataPlane
  let cache: LayeredCache
  let identity: IdentityID

  static let shape = LayeredCache.Shape(layerCount: 4, pieceByteCount: 4096, blockCount: 64)
  static var soon: Deadline { .after(seconds: 30) }

  init(
    slots: Int = 32, shape: LayeredCache.Shape = Harness.shape, device: CPUDevice? = nil,
    _ adjust: (inout EngineConfiguration, inout PoolConfiguration) throws -> Void = { _, _ in }
  ) throws {
    var pool = PoolConfiguration(
      name: Harness.uniqueName(), capacity: ByteCount(slots * shape.pageByteCount), slotByteCounts: [])
    let group = EngineConfiguration.Group(pageByteCount: shape.pageByteCount, tokensPerBlock: 16)
    var configuration = EngineConfiguration(groups: [group], memory: .none(slotCount: 1))
    try adjust(&configuration, &pool)
    configuration.memory = .pool(pool)
    engine = try Engine.open(configuration)
    engine.waitUntilCommitted(until: Harness.soon)
    let device = try device ?? CPUDevice()
    cache = try LayeredCache(shape, on: device)
    plane = try LocalDataPlane(engine: engine, device: device, templates: [cache.template])
    identity = try engine.intern(IdentityDigest(words: (1, 2, 3, 4)))
  }

  deinit { engine.close(until: .after(seconds: 1)) }

  static func uniqueName() -> String { "engine-\(getpid())-\(UInt32.random(in: 0 ... .max))" }

  func key(_ seed: UInt64) -> Key { Key(identity: identity, group: 0, words: (seed, 1, 2, 3)) }

  func keys(_ seeds: some Sequence<UInt64>) -> [Key] { seeds.map { key($0) } }

  /// What a store was granted.
  struct Store {
    var lease: LeaseID?
    var grants: [StoreGrant]
    /// The admitted blocks; device block i holds key i.
    var blocks: [BlockCopy]
  }

  func beginStore(_ keys: [Key], request: UInt64 = 1, shardCount: Int = 1) throws -> Store {
    var grants = [StoreGrant](
      repeating: StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: 0), generation: 0), count: keys.count)
    let lease = try keys.withUnsafeBufferPointer { keys in
      try grants.withUnsafeMutableBufferPointer {
        try engine.beginStore(RequestID(rawValue: request), keys, shardCount: shardCount, into: $0)
      }
    }
    let blocks = grants.enumerated().filter { $0.element.outcome == .admitted }
      .map { BlockCopy(block: UInt32($0.offset), slot: $0.element.slot, generation: $0.element.generation) }
    return Store(lease: lease, grants: grants, blocks: blocks)
  }

  /// Stores the patterns of the seeds, through to the commit.
  @discardableResult func store(_ seeds: [UInt64], request: UInt64 = 1) throws -> Store {
    for (block, seed) in seeds.enumerated() { cache.fill(UInt32(block), seed: seed) }
    let store = try beginStore(keys(seeds), request: request)
    guard let lease = store.lease else { return store }
    let result = try copy(.store, store.blocks, lease)
    if result.isComplete { engine.commit(lease) } else { engine.abort(lease) }
    return store
  }

  func beginLoad(_ keys: [Key], request: UInt64 = 2) throws -> (lease: LeaseID?, grants: [LoadGrant]) {
    var grants = [LoadGrant](
      repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: 0), generation: 0), count: keys.count)
    let lease = try keys.withUnsafeBufferPointer { keys in
      try grants.withUnsafeMutableBufferPointer { try engine.beginLoad(RequestID(rawValue: request), keys, into: $0) }
    }
    return (lease, grants)
  }

  /// Loads what is there; returns for each seed the wrong bytes on the device, nil for a miss.
  func load(_ seeds: [UInt64], request: UInt64 = 2) throws -> [Int?] {
    for block in seeds.indices { cache.fill(UInt32(block), seed: .max) }
    let (lease, grants) = try beginLoad(keys(seeds), request: request)
    guard let lease else { return seeds.map { _ in nil } }
    let blocks = grants.enumerated().filter { $0.element.outcome == .leased }
      .map { BlockCopy(block: UInt32($0.offset), slot: $0.element.slot, generation: $0.element.generation) }
    let result = try copy(.load, blocks, lease)
    engine.end(lease)
    guard result.isComplete else { return seeds.map { _ in nil } }
    return seeds.enumerated().map { block, seed in
      grants[block].outcome == .leased ? cache.wrongByteCount(UInt32(block), seed: seed) : nil
    }
  }

  func copy(_ verb: CopyVerb, _ blocks: [BlockCopy], _ lease: LeaseID) throws -> JobResult {
    let job = try blocks.withUnsafeBufferPointer { try plane.submit(CopyJob(verb, lease: lease), $0) }
    return try plane.wait(for: job, until: Harness.soon)
  }

  func match(_ keys: [Key]) -> [KeyState] {
    var states = [KeyState](repeating: .absent, count: keys.count)
    _ = keys.withUnsafeBufferPointer { keys in states.withUnsafeMutableBufferPointer { engine.match(keys, into: $0) } }
    return states
  }

  /// The sums that must always reconcile.
  var reconciles: Bool {
    let blocks = engine.statistics.blocks
    return blocks.hits + blocks.misses == blocks.lookups && blocks.allocated + blocks.free == blocks.capacity
      && blocks.held + blocks.admitted + blocks.refused == blocks.offered
      && blocks.admitted + blocks.adopted + blocks.promoted
        == blocks.evicted + blocks.retired + blocks.aborted + blocks.resident
  }

  /// Waits for a condition that another thread or process brings about.
  static func eventually(_ condition: () -> Bool) -> Bool {
    let deadline = soon
    while !deadline.hasPassed() {
      if condition() { return true }
      usleep(200)
    }
    return condition()
  }
}

/// A process of the test's own, started from the probe that is built beside the tests.
final class ProbeProcess {
  let process = Process()
  private let output = Pipe()
  private var read = Data()

  init(_ arguments: [String]) throws {
    let tests = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundlePath ?? CommandLine.arguments[0]
    let folder = URL(fileURLWithPath: tests).deletingLastPathComponent()
    process.executableURL = folder.appendingPathComponent("EngineProbe")
    process.arguments = arguments
    process.standardOutput = output
    try process.run()
  }

  deinit { kill() }

  var pid: Int32 { process.processIdentifier }

  /// Ends the process at once, at whatever instruction it is.
  func kill() {
    if process.isRunning { Glibc.kill(pid, SIGKILL) }
    process.waitUntilExit()
  }

  /// Waits until the process has written so many lines; false if it ends before.
  func waitForLines(_ count: Int) -> Bool {
    while read.count(where: { $0 == 10 }) < count {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { return false }
      read += more
    }
    return true
  }

  /// What has been written to standard output until the process ended.
  func outputLines() -> [String] {
    read += output.fileHandleForReading.readDataToEndOfFile()
    return String(decoding: read, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
