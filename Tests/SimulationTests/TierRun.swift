import DeviceMock
import RoostBlocks
import RoostEngine
import RoostPrimitives
import RoostSimulation
import RoostStorage
import TierDisk

/// One seeded run of the whole engine - control plane, pool, data plane on a mock device - over the real disk tier on a
/// simulated disk, restarts and crashes included. One thread; the seed decides what happens when.
///
/// Checked: no wrong byte reaches the device; every prefetch and every job ends; no lease is lost; what was forgotten is
/// not found; counters reconcile; when the disk works again the tier does, too.
final class TierRun {
  enum Canary {
    case none
    /// Bytes change between the tier's check and the pool.
    case tampering
    /// A load is never ended.
    case lostLease
  }

  /// A store or load between its begin and its end.
  private struct OpenRequest {
    let isStore: Bool
    let lease: LeaseID
    var copies: [BlockCopy]
    /// The content of the device blocks, by number.
    let seeds: [UInt32: UInt64]
    let blocks: [UInt32]
    /// Its pages were forgotten after its begin: its job may find nothing to do.
    var isForgotten = false
  }

  static let seedCount: UInt64 = 30

  private(set) var complaints: [String] = []
  private(set) var loadedCount = 0
  private(set) var promotedCount = 0
  private(set) var demotedCount = 0
  private(set) var crashCount = 0
  /// Goes through everything that the run has seen: two runs with the same are the same.
  private(set) var digest: UInt64 = 0
  let disk: SimulatedDisk
  private let seed: UInt64
  private let canary: Canary
  private let setting: TierStageSetting
  private var random: SplitMix64
  private var stage: Stage
  private var tier: PluggedTier
  private var prefetches: [(id: PrefetchID, request: UInt64)] = []
  private var open: [OpenRequest] = []
  private var freeBlocks: [UInt32] = []
  private var requestCount: UInt64 = 0
  private var openingCount: UInt64 = 0

  init(seed: UInt64, canary: Canary = .none) throws {
    self.seed = seed
    self.canary = canary
    random = SplitMix64(seed: SplitMix64.mix(seed))
    setting = TierStageSetting(using: &random, isTampering: canary == .tampering)
    var faults = StorageFaults()
    if canary == .none { faults = .any(using: &random) }
    disk = SimulatedDisk(
      seed: random.next(), capacityBytes: 4 << 20, faults: faults, clock: SeededClock(seed: seed))
    (stage, tier) = try setting.open(disk, seed)
    freeBlocks = TierRun.allBlocks(stage)
  }

  private static func allBlocks(_ stage: Stage) -> [UInt32] { (0..<UInt32(stage.settings.blockCount)).map { $0 } }

  func run(stepCount: Int = 250) throws -> [String] {
    for _ in 0..<stepCount {
      try step()
      if !complaints.isEmpty { return complaints }
    }
    disk.setFaults(StorageFaults())
    try conclude()
    if !complaints.isEmpty { return complaints }
    try restart(crashing: false)
    // Pauses after failed writes and failed starts are over.
    disk.clock.advance(nanoseconds: 100_000_000_000)
    settle()
    if stage.engine.statistics.tier?.isReady != true { complain("the disk works, and the tier does not") }
    for first in stride(from: 0, to: TierRun.seedCount, by: 6) {
      try prefetch(Array(first..<first + 6), seconds: 1000)
      settle()
      beginLoad(Array(first..<first + 6))
      while !open.isEmpty { try finish(0) }
    }
    try conclude()
    close()
    return complaints
  }

  private func complain(_ text: String) { complaints.append("seed \(seed): \(text)") }

  private func note(_ value: some BinaryInteger) {
    digest = SplitMix64.mix(digest ^ UInt64(truncatingIfNeeded: value))
  }

  private func step() throws {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<22: beginStore(chain())
    case 22..<44: try prefetch(chain(), seconds: Double.random(in: 0...0.5, using: &random))
    case 44..<66: beginLoad(chain())
    case 66..<70: endOne()
    case 70..<74: disk.clock.advance(nanoseconds: UInt64.random(in: 0...2_000_000_000, using: &random))
    case 74..<76: forget()
    case 76..<77: try reset()
    case 77..<79: try restart(crashing: true)
    case 79..<80: try restart(crashing: false)
    case 80..<83: settle()
    default: break
    }
    for _ in 0..<Int.random(in: 0..<6, using: &random) { turn() }
    while open.count > Int.random(in: 0..<4, using: &random) {
      try finish(Int.random(in: 0..<open.count, using: &random))
    }
    note(disk.clock.nanoseconds)
  }

  /// A prefix of one of five chains of six blocks.
  private func chain() -> [UInt64] {
    let first = 6 * UInt64.random(in: 0..<5, using: &random)
    return Array(first..<first + UInt64.random(in: 1...6, using: &random))
  }

  private func keys(_ seeds: [UInt64]) -> [Key] {
    seeds.map { Key(identity: stage.identity, group: 0, words: ($0, 1, 2, 3)) }
  }

  private func newRequest() -> RequestID {
    requestCount += 1
    return RequestID(rawValue: requestCount)
  }

  /// For what ends at once if nothing is wrong.
  private var soon: Deadline { canary == .lostLease ? .after(seconds: 0.01) : Stage.soon }

  // MARK: Requests

  private func takeBlocks(_ count: Int) -> [UInt32]? {
    guard freeBlocks.count >= count else { return nil }
    defer { freeBlocks.removeLast(count) }
    return Array(freeBlocks.suffix(count))
  }

  private func beginStore(_ seeds: [UInt64]) {
    guard let blocks = takeBlocks(seeds.count) else { return }
    var grants = [StoreGrant](
      repeating: StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: 0), generation: 0), count: seeds.count)
    let lease = try? keys(seeds).withUnsafeBufferPointer { keys in
      try grants.withUnsafeMutableBufferPointer { try stage.engine.beginStore(newRequest(), keys, into: $0) }
    }
    var copies: [BlockCopy] = []
    for (index, grant) in grants.enumerated() {
      note(grant.slot.rawValue)
      guard grant.outcome == .admitted else { continue }
      copies.append(BlockCopy(block: blocks[index], slot: grant.slot, generation: grant.generation))
    }
    begin(lease ?? nil, isStore: true, copies, seeds, blocks)
  }

  private func beginLoad(_ seeds: [UInt64]) {
    guard let blocks = takeBlocks(seeds.count) else { return }
    var grants = [LoadGrant](
      repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: 0), generation: 0), count: seeds.count)
    // Now and then for a request that has prefetched.
    let waiting = Bool.random(using: &random) ? prefetches.randomElement(using: &random) : nil
    let request = waiting.map { RequestID(rawValue: $0.request) } ?? newRequest()
    prefetches.removeAll { $0.request == request.rawValue }
    let lease = try? keys(seeds).withUnsafeBufferPointer { keys in
      try grants.withUnsafeMutableBufferPointer { try stage.engine.beginLoad(request, keys, into: $0) }
    }
    var copies: [BlockCopy] = []
    for (index, grant) in grants.enumerated() {
      note(grant.slot.rawValue)
      guard grant.outcome == .leased else { continue }
      copies.append(BlockCopy(block: blocks[index], slot: grant.slot, generation: grant.generation))
    }
    begin(lease ?? nil, isStore: false, copies, seeds, blocks)
  }

  private func begin(
    _ lease: LeaseID?, isStore: Bool, _ copies: [BlockCopy], _ seeds: [UInt64], _ blocks: [UInt32]
  ) {
    guard let lease else {
      if !copies.isEmpty { complain("slots were given without a lease") }
      freeBlocks += blocks
      return
    }
    open.append(
      OpenRequest(
        isStore: isStore, lease: lease, copies: copies,
        seeds: Dictionary(uniqueKeysWithValues: zip(blocks, seeds)), blocks: blocks))
  }

  /// Copies, and ends what was begun.
  private func finish(_ index: Int) throws {
    let request = open.remove(at: index)
    for copy in request.copies {
      stage.cache.fill(copy.block, seed: request.isStore ? request.seeds[copy.block]! : .max)
    }
    let isCopied = try copy(request.isStore ? .store : .load, request)
    if request.isStore {
      // Some change their mind.
      let isDropped = !isCopied || Int.random(in: 0..<8, using: &random) == 0
      if isDropped { stage.engine.abort(request.lease) } else { stage.engine.commit(request.lease) }
    } else {
      if isCopied { check(request) }
      if canary != .lostLease { stage.engine.end(request.lease) }
    }
    freeBlocks += request.blocks
  }

  private func check(_ request: OpenRequest) {
    for copy in request.copies {
      loadedCount += 1
      guard let seed = request.seeds[copy.block] else { continue }
      let wrong = stage.cache.wrongByteCount(copy.block, seed: seed)
      note(wrong)
      if wrong > 0 { complain("\(wrong) WRONG BYTES in block \(seed)") }
    }
  }

  /// False: the device failed, and has been replaced.
  private func copy(_ verb: CopyVerb, _ request: OpenRequest) throws -> Bool {
    guard !request.copies.isEmpty else { return true }
    let job = try request.copies.withUnsafeBufferPointer {
      try stage.plane.submit(CopyJob(verb, lease: request.lease), $0)
    }
    for _ in 0..<100_000 {
      stage.device.resume()
      for result in stage.plane.poll(countMax: 8) where result.job == job {
        guard !result.isComplete else { return true }
        if !stage.device.firedFaults.isEmpty {
          try stage.replaceDevice(seed: random.next())
        } else if !request.isForgotten {
          complain("a job failed without a fault of the device: \(result)")
        }
        return false
      }
      stage.device.step()
    }
    complain("a job never ended")
    return false
  }

  private func prefetch(_ seeds: [UInt64], seconds: Double) throws {
    let request = newRequest()
    let answer = try keys(seeds).withUnsafeBufferPointer {
      try stage.engine.prefetch(request, $0, until: .after(seconds: seconds, on: disk.clock))
    }
    guard case .started(let id) = answer else { return }
    note(id.rawValue)
    prefetches.append((id, request.rawValue))
  }

  private func endOne() {
    guard let index = prefetches.indices.randomElement(using: &random) else { return }
    let ended = prefetches.remove(at: index)
    if Bool.random(using: &random) {
      stage.engine.endPrefetch(ended.id)
    } else {
      stage.engine.reclaim(RequestID(rawValue: ended.request))
    }
  }

  private func forget() {
    stage.engine.forget(stage.identity)
    for index in open.indices { open[index].isForgotten = true }
    var states = [KeyState](repeating: .ready, count: Int(TierRun.seedCount))
    _ = keys(Array(0..<TierRun.seedCount)).withUnsafeBufferPointer { keys in
      states.withUnsafeMutableBufferPointer { stage.engine.match(keys, into: $0) }
    }
    // A store that was open goes on.
    if let found = states.firstIndex(where: { $0 != .absent && $0 != .pending }) {
      complain("block \(found) was forgotten and is \(states[found])")
    }
  }

  private func reset() throws {
    while !open.isEmpty { try finish(0) }
    prefetches.removeAll()
    do throws(RoostError) {
      try stage.engine.reset(until: soon)
    } catch {
      // A disk that breaks may not say that it has forgotten; it must say so then.
      if disk.faultCounts.isEmpty { complain("reset: \(error)") }
    }
  }

  // MARK: The tier

  @discardableResult private func turn() -> Bool {
    switch stage.engine.turnTier() {
    case .busy: return true
    case .waits:
      _ = tier.wait(until: .never)
      return true
    case .idle, .over: return false
    }
  }

  /// Lets the tier do all that it has to do.
  private func settle() {
    for _ in 0..<20_000 { if !turn() { return } }
    complain("the tier never comes to rest")
  }

  private func restart(crashing isCrash: Bool) throws {
    if isCrash {
      crashCount += 1
      if Bool.random(using: &random) { disk.crash() } else { disk.kill() }
      // The process is gone: nobody waits for what it had asked of the disk, and its leases go with its memory.
      tier.pull()
    } else {
      while !open.isEmpty { try finish(0) }
    }
    prefetches.removeAll()
    close(isCrash: isCrash)
    open.removeAll()
    openingCount += 1
    (stage, tier) = try setting.open(disk, seed &+ openingCount << 32)
    freeBlocks = TierRun.allBlocks(stage)
  }

  private func close(isCrash: Bool = false) {
    promotedCount += stage.engine.statistics.tier?.promoted ?? 0
    demotedCount += stage.engine.statistics.tier?.demoted ?? 0
    let leaks = stage.engine.close(until: isCrash ? .after(seconds: 0) : soon)
    if leaks.count != open.count { complain("\(open.count) leases are open and \(leaks.count) live: \(leaks)") }
  }

  /// Checks what must be true of an engine at rest.
  private func conclude() throws {
    while !open.isEmpty { try finish(0) }
    settle()
    for prefetch in prefetches {
      if stage.engine.progress(of: prefetch.id)?.isOver == false {
        complain("prefetch \(prefetch.id.rawValue) never ends")
      }
      stage.engine.endPrefetch(prefetch.id)
    }
    prefetches.removeAll()
    if !stage.engine.leases().isEmpty { complain("leases were lost: \(stage.engine.leases())") }
    for (name, left, right) in sums() {
      note(left)
      if left != right { complain("\(name): \(left) is not \(right)") }
    }
  }

  private func sums() -> [(String, Int, Int)] {
    let known = stage.engine.statistics
    let blocks = known.blocks
    guard let tier = known.tier else { return [("tiers", 0, 1)] }
    let promotions =
      tier.promoted + tier.promotionsMissing + tier.promotionsCorrupt + tier.promotionsFailed + tier.promotionsInFlight
    let usage = tier.usage
    return [
      ("hits + misses = lookups", blocks.hits + blocks.misses, blocks.lookups),
      ("allocated + free = capacity", blocks.allocated + blocks.free, blocks.capacity),
      ("held + admitted + refused = offered", blocks.held + blocks.admitted + blocks.refused, blocks.offered),
      (
        "admitted + adopted + promoted = evicted + retired + aborted + resident",
        blocks.admitted + blocks.adopted + blocks.promoted,
        blocks.evicted + blocks.retired + blocks.aborted + blocks.resident
      ),
      ("slots promoted = promotions begun", blocks.promoted, tier.promotionsBegun),
      ("ends of promotions = promotions begun", promotions, tier.promotionsBegun),
      ("promotions in flight at rest", tier.promotionsInFlight, 0),
      ("demotions in flight at rest", tier.demotionsInFlight, 0),
      ("demotions queued at rest", tier.isReady ? tier.demotionsQueued : 0, 0),
      ("evictable = resident at rest", blocks.evictable, blocks.resident), ("unkeyed at rest", blocks.unkeyed, 0),
      ("pages in flight in the tier at rest", usage.inFlightCount, 0),
      ("the tier's pages ended = submitted", usage.counters.endedCount, usage.counters.submittedCount),
      ("bytes over the tier's capacity", max(0, usage.occupiedBytes - usage.capacityBytes), 0),
    ]
  }
}
