import CRoostPlatform
import DeviceMock
import Glibc
import RoostBlocks
import RoostDevice
import RoostEngine
import RoostLayout
import RoostPool
import RoostPrimitives
import RoostTransfer
import Synchronization

/// What a simulated run is made of; everything but the faults.
struct StageSettings {
  /// Tensors on the device.
  var layerCount = 2
  var tokenCount = 4
  var headCount = 2
  /// Bytes of one head of one token; whole words.
  var itemByteCount = 64
  /// Blocks on the device.
  var blockCount = 24
  var slotCount = 12
  var verification = EngineConfiguration.Verification.adopted
  var watermark: Watermark?
  /// Whether copies go by way of staging buffers, driven by a thread.
  var isStaged = false
  var capabilities = MockDeviceConfiguration().capabilities
  var turnsPerCallMax = 3

  var pieceByteCount: Int { tokenCount * headCount * itemByteCount }
  var pageByteCount: Int { layerCount * pieceByteCount }

  static func random(using random: inout SplitMix64) throws -> StageSettings {
    var settings = StageSettings()
    settings.layerCount = Int.random(in: 1...3, using: &random)
    settings.tokenCount = [1, 2, 4].randomElement(using: &random) ?? 1
    settings.headCount = Int.random(in: 1...2, using: &random)
    settings.slotCount = Int.random(in: 4...20, using: &random)
    if Bool.random(using: &random) { settings.verification = .host }
    if Int.random(in: 0..<4, using: &random) == 0 { settings.watermark = try Watermark(start: 0.9, stop: 0.6) }
    settings.isStaged = Int.random(in: 0..<4, using: &random) == 0
    for hidden in [Capabilities.eventTiming, .hostCallbacks, .hostRegistration]
    where Int.random(in: 0..<5, using: &random) == 0 {
      settings.capabilities.remove(hidden)
    }
    settings.turnsPerCallMax = [0, 1, 3, 10].randomElement(using: &random) ?? 3
    return settings
  }
}

/// Time that passes when the test says so.
final class ManualClock: Clock {
  private let now = Atomic<UInt64>(1_000_000)
  var nanoseconds: UInt64 { now.load(ordering: .acquiring) }
  func advance(_ nanoseconds: UInt64) { now.wrappingAdd(nanoseconds, ordering: .acquiringAndReleasing) }
}

/// A KV cache on a mock: one tensor a layer, tokens outside heads, where a slot has heads outside tokens. The test plays
/// the model that computes on it, by the mock's own view.
final class MockCache: @unchecked Sendable {
  let settings: StageSettings
  let template: PageTemplate
  private let device: MockDevice
  private var tensors: [DeviceMemory] = []
  private var views: [UnsafeMutableRawBufferPointer] = []

  init(_ settings: StageSettings, on device: MockDevice) throws {
    self.settings = settings
    self.device = device
    var regions: [PagedRegion] = []
    var parts: [PagePart] = []
    for layer in 0..<settings.layerCount {
      let memory = try device.allocate(byteCount: settings.blockCount * settings.pieceByteCount)
      tensors.append(memory)
      views.append(try device.view(of: memory))
      regions.append(
        PagedRegion(
          address: memory.address, byteCount: memory.byteCount, blockStrideBytes: settings.pieceByteCount,
          blockCount: settings.blockCount))
      parts.append(try MockCache.part(layer, settings))
    }
    template = try PageTemplate(
      regions: regions, parts: parts, slotByteCount: settings.pageByteCount,
      efficientRunBytes: device.description.efficientRunBytes)
  }

  private static func part(_ layer: Int, _ settings: StageSettings) throws -> PagePart {
    let (tokens, heads, item) = (settings.tokenCount, settings.headCount, settings.itemByteCount)
    let device = try Layout(
      axes: [
        Axis(.token, tokens, strideBytes: heads * item), Axis(.head, heads, strideBytes: item),
        Axis(.dim, item, strideBytes: 1),
      ], itemByteCount: 1)
    let slot = try Layout(
      axes: [
        Axis(.token, tokens, strideBytes: item), Axis(.head, heads, strideBytes: tokens * item),
        Axis(.dim, item, strideBytes: 1),
      ], itemByteCount: 1, offsetBytes: layer * settings.pieceByteCount)
    return PagePart(region: layer, device: device, slot: slot)
  }

  /// Writes the pattern of a seed into a block.
  func fill(_ block: UInt32, seed: UInt64) {
    for (layer, view) in views.enumerated() {
      roost_pattern_fill(piece(view, block), settings.pieceByteCount, seed, firstWord(layer))
    }
  }

  /// The bytes of a block that differ from the pattern of a seed.
  func wrongByteCount(_ block: UInt32, seed: UInt64) -> Int {
    var wrong = 0
    for (layer, view) in views.enumerated() {
      wrong += roost_pattern_compare(piece(view, block), settings.pieceByteCount, seed, firstWord(layer), nil)
    }
    return wrong
  }

  private func piece(_ view: UnsafeMutableRawBufferPointer, _ block: UInt32) -> UnsafeMutableRawPointer? {
    view.baseAddress.map { $0 + Int(block) * settings.pieceByteCount }
  }

  private func firstWord(_ layer: Int) -> UInt64 { UInt64(layer * settings.pieceByteCount / 8) }
}

/// An engine over a small pool and a data plane over a mock; the mock can be lost and replaced.
final class Stage {
  let settings: StageSettings
  let engine: Engine
  let clock = ManualClock()
  let identity: IdentityID
  private(set) var device: MockDevice
  private(set) var cache: MockCache
  private(set) var plane: LocalDataPlane
  /// The model's own stream and, if the device calls host functions, its way to compute.
  private(set) var compute: any DeviceStream
  /// Faults that have happened, on all devices.
  private(set) var firedFaults: [MockFault] = []

  static var soon: Deadline { .after(seconds: 20) }

  /// `tier`: a tier below the pool, and the clock that it and the engine have in common.
  init(
    _ settings: StageSettings, seed: UInt64, faults: [MockFault] = [], tier: (setup: TierSetup, clock: any Clock)? = nil
  ) throws {
    self.settings = settings
    var pool = PoolConfiguration(
      name: "simulation-\(getpid())-\(UInt32.random(in: 0 ... .max))",
      capacity: ByteCount(settings.slotCount * max(4096, settings.pageByteCount)), slotByteCounts: [])
    pool.acceptsAttachments = false
    pool.hugePages = .none
    let group = EngineConfiguration.Group(pageByteCount: settings.pageByteCount, tokensPerBlock: settings.tokenCount)
    // LRU refuses nothing and so reuses slots soonest, which is where a slot that is not guarded shows.
    var configuration = EngineConfiguration(
      groups: [group], memory: .pool(pool), policy: LeastRecentlyUsed.factory)
    configuration.slotCountMax = settings.slotCount
    configuration.verification = settings.verification
    configuration.watermark = settings.watermark
    configuration.clock = tier?.clock ?? clock
    configuration.tier = tier?.setup
    engine = try Engine.open(configuration)
    guard engine.waitUntilCommitted(until: Stage.soon) else { throw RoostError(.timedOut, "no memory for the pool") }
    identity = try engine.intern(IdentityDigest(words: (1, 2, 3, 4)))
    var mock = MockDeviceConfiguration(seed: seed)
    mock.faults = faults
    (device, cache, plane, compute) = try Stage.open(mock, settings, engine, &firedFaults)
  }

  deinit { engine.close(until: .after(seconds: 0)) }

  /// Replaces a lost device by one that works.
  func replaceDevice(seed: UInt64) throws {
    firedFaults += device.firedFaults
    (device, cache, plane, compute) = try Stage.open(
      MockDeviceConfiguration(seed: seed), settings, engine, &firedFaults)
  }

  var allFiredFaults: [MockFault] { firedFaults + device.firedFaults }

  private typealias Opened = (MockDevice, MockCache, LocalDataPlane, any DeviceStream)

  /// Opens a device, again and again while it breaks at once.
  private static func open(
    _ wanted: MockDeviceConfiguration, _ settings: StageSettings, _ engine: Engine, _ fired: inout [MockFault]
  ) throws -> Opened {
    var configuration = wanted
    configuration.capabilities = settings.capabilities
    configuration.efficientRunBytes = settings.isStaged ? 4096 : 0
    configuration.turnsPerCallMax = settings.turnsPerCallMax
    configuration.requiresRegisteredHost = settings.capabilities.contains(.hostRegistration)
    configuration.memoryBytes = 1 << 20
    while true {
      let device = try MockDevice(configuration)
      do {
        return try open(device, settings, engine)
      } catch let error as RoostError {
        guard !device.firedFaults.isEmpty else { throw error }
        fired += device.firedFaults
        configuration.faults.removeAll { fault in device.firedFaults.contains { $0.kind == fault.kind } }
      }
    }
  }

  private static func open(_ device: MockDevice, _ settings: StageSettings, _ engine: Engine) throws -> Opened {
    let cache = try MockCache(settings, on: device)
    if settings.capabilities.contains(.hostRegistration), let pool = engine.pool {
      for chunk in pool.memory.chunks { try device.registerHost(chunk.memory) }
    }
    let plane = try LocalDataPlane(engine: engine, device: device, templates: [cache.template])
    return (device, cache, plane, try device.makeStream(priority: .normal))
  }
}
