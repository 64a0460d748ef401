import Foundation
import RoostBlocks
import RoostConformance
import RoostPrimitives
import RoostReplay
import RoostSimulation
import RoostStorage
import Testing

@testable import RoostBuiltins
@testable import TierDisk

/// Under each of the pool's policies the disk holds exactly what a block table holds that is told the same, by itself.
@Suite struct EvictionOrderTests {
  static let policies = Builtins.diskOrders().map(\.name)

  @Test(arguments: policies) func theDiskHoldsWhatItsPolicyWouldHoldInADryRun(policy: String) throws {
    var generator = SplitMix64(seed: 0x0EDE)
    let pair = try Pair(policy, capacity: 1 << 20)
    let blocks = UInt64(pair.slotCount * 4)
    for request in 0..<400 {
      // Conversations that grow, some asked for more often than others.
      let spread = UInt64.random(in: 1...blocks / 8, using: &generator)
      let conversation = UInt64.random(in: 0..<spread, using: &generator)
      let first = conversation * 8
      try pair.ask(Array(first..<(first + UInt64.random(in: 1...8, using: &generator))))
      if request == 250 { try pair.restart() }
      #expect(pair.isSame(Array(0..<blocks)), "\(policy), request \(request)")
    }
    #expect(pair.evictedCount > 100)
    // The policies that are choosy have been, and what they refused is counted.
    #expect(pair.refusedCount == pair.dryRefusedCount)
    if policy == "arc" { #expect(pair.refusedCount > 0) }
  }

  @Test(.enabled(if: trace != nil, "needs ../shared/data/traces"), arguments: policies)
  func theDiskHoldsThatOfAPublicTraceToo(policy: String) throws {
    let reader = try TraceReader(path: #require(EvictionOrderTests.trace))
    let pair = try Pair(policy, capacity: 8 << 20)
    var request = TraceRequest()
    var seen = Set<UInt64>()
    for number in 0..<150 where try reader.next(into: &request) {
      var blocks: [UInt64] = []
      for block in request.ids where !blocks.contains(block) { blocks.append(block) }
      try pair.ask(blocks)
      seen.formUnion(blocks)
      if number % 10 == 9 { #expect(pair.isSame(seen.sorted()), "\(policy), request \(number)") }
    }
    #expect(pair.evictedCount > 100)
    #expect(pair.refusedCount == pair.dryRefusedCount)
  }

  private static let trace: String? = {
    let path = URL(fileURLWithPath: #filePath)
      .appendingPathComponent("../../../../shared/data/traces/mooncake_synthetic.jsonl.zst").standardized.path
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }()

  @Test(arguments: policies) func aForgottenIdentityIsRememberedByNoPolicy(policy: String) throws {
    var generator = SplitMix64(seed: 0xF0E6)
    let pair = try Pair(policy, capacity: 1 << 20)
    for _ in 0..<100 {
      let first = UInt64.random(in: 0..<UInt64(pair.slotCount * 2), using: &generator)
      try pair.ask(Array(first..<first + 8))
    }
    // Policies remember pages that are gone, by name.
    if policy != "fifo" { #expect(pair.ghostCount > 0) }
    try pair.forget()
    #expect(pair.ghostCount == 0)
    #expect(pair.isEmpty)
  }

  @Test(arguments: policies) func aPageThatStandsInABatchTwiceIsWrittenOnce(policy: String) throws {
    let disk = SimulatedDisk(
      seed: 1, capacityBytes: 2 << 20, faults: StorageFaults(), clock: SeededClock(seed: 1))
    let tier = try Scratch.simulated(disk, policy: Builtins.diskOrders().first { $0.name == policy })
    _ = try tier.recover(until: .never)
    let sheets = (0..<4).map { TierSheet($0, byteCount: 4096) }
    let kinds = try tier.write([sheets[0], sheets[1], sheets[1], sheets[2], sheets[0]])
    #expect(kinds == [.done, .done, .throttled, .done, .throttled])
    #expect(try tier.read(sheets) == [.done, .done, .done, .missing])
    #expect(tier.orderProblems.isEmpty && tier.usage.pageCount == 3)
    tier.close(until: .never)
  }

  @Test func aDiskWhosePolicyFindsNoMemoryEvictsWhatWasUsedLongestAgo() throws {
    let disk = SimulatedDisk(
      seed: 1, capacityBytes: 2 << 20, faults: StorageFaults(), clock: SeededClock(seed: 1))
    let starved = EvictionOrderKind(name: "starved") { (_) throws(RoostError) -> any EvictionOrder in
      throw RoostError(.outOfResources, "there is no memory for it")
    }
    let tier = try Scratch.simulated(disk, policy: starved)
    _ = try tier.recover(until: .never)
    let sheets = (0..<400).map { TierSheet(UInt64($0), byteCount: 4096) }
    for sheet in sheets { #expect(try tier.write([sheet]) == [.done]) }
    #expect(tier.core.withLock { $0.table.orderKind } == nil)
    let kinds = try tier.read(sheets)
    let kept = kinds.count { $0 == .done }
    #expect(kept > 50 && kept < 400)
    #expect(kinds.suffix(kept).allSatisfy { $0 == .done })
    tier.close(until: .never)
  }

  @Test func aPolicyThatThereIsNotIsRefused() {
    do throws(RoostError) {
      _ = try Builtins.tiers().open("disk://\(Scratch.newPath())?capacity=12MiB&policy=hazrd")
      Issue.record("it was taken")
    } catch {
      #expect(error.code == .invalidInput && "\(error)".contains("did you mean 'hazard'?"))
      for name in ["lru"] + EvictionOrderTests.policies { #expect("\(error)".contains(name)) }
    }
  }

  @Test func addressesNameAPolicy() throws {
    try Scratch.withDirectory { path in
      for policy in ["lru"] + EvictionOrderTests.policies {
        let tier = try Builtins.tiers().open("disk://\(path)?capacity=12MiB&segment=1MiB&policy=\(policy)")
        _ = try tier.recover(until: Scratch.patience)
        let disk = try #require(tier as? DiskTier)
        #expect(disk.core.withLock { $0.table.orderKind?.name } == (policy == "lru" ? nil : policy))
        tier.close(until: Scratch.patience)
      }
    }
  }
}

/// A disk under a policy, all of whose slots are of one size, and a block table with as many.
private final class Pair {
  private static let byteCount = 4096
  private let disk: SimulatedDisk
  private let capacity: Int
  private let policy: String
  private var tier: DiskTier
  private var dry: BlockTable
  /// Blocks by their last write, the one written longest ago first.
  private var written: [UInt64] = []
  private var sheets: [UInt64: TierSheet] = [:]
  private(set) var slotCount = 0
  private(set) var evictedCount = 0
  private(set) var refusedCount = 0
  private(set) var dryRefusedCount = 0
  private var requestCount: UInt64 = 0

  init(_ policy: String, capacity: Int) throws {
    self.policy = policy
    self.capacity = capacity
    disk = SimulatedDisk(
      seed: 1, capacityBytes: 2 * capacity, faults: StorageFaults(), clock: SeededClock(seed: 1))
    // The tier takes a segment when it needs one; the table gets all its slots at once. So all are taken before.
    let first = try Scratch.simulated(disk, capacity: capacity)
    _ = try first.recover(until: .never)
    let fill = (0..<UInt64(capacity / 8192)).map { TierSheet($0 + 1 << 40, byteCount: Pair.byteCount) }
    for start in stride(from: 0, to: fill.count, by: 500) {
      _ = try first.write(Array(fill[start..<min(fill.count, start + 500)]))
    }
    _ = try first.run(.remove, fill.map { TierPage($0.name) })
    first.close(until: .never)
    tier = first
    dry = try Pair.table(policy, 1)
    try open()
    slotCount = tier.core.withLock { $0.table.classes.values.reduce(0) { $0 + $1.free.count } }
    try fillDry([])
  }

  private static func table(_ policy: String, _ slotCount: Int) throws -> BlockTable {
    try BlockTable(
      BlockTableConfiguration(
        slotCountMax: slotCount, policy: Builtins.policies().factory(named: policy), reportsChanges: false))
  }

  private func open() throws {
    tier = try Scratch.simulated(
      disk, capacity: capacity, policy: Builtins.diskOrders().first { $0.name == policy })
    _ = try tier.recover(until: .never)
  }

  private func fillDry(_ blocks: [UInt64]) throws {
    dry = try Pair.table(policy, slotCount)
    let pages = blocks.enumerated().map {
      AdoptedSlot(key: Pair.key($1), slot: SlotNumber(rawValue: UInt32($0)), generation: 0)
    }
    pages.withUnsafeBufferPointer {
      _ = dry.addSlots(0..<UInt32(slotCount), SlotClass(rawValue: 0), adopting: $0)
    }
  }

  private static func key(_ block: UInt64) -> Key {
    Key(identity: IdentityID(rawValue: 0), group: 0, words: (SplitMix64.mix(block), block, 1, 2))
  }

  private static func name(_ block: UInt64) -> PageName {
    PageName(key(block), identity: IdentityDigest(words: (1, 2, 3, 4)))
  }

  private func sheet(_ block: UInt64) -> TierSheet {
    if let sheet = sheets[block] { return sheet }
    let sheet = TierSheet(Pair.name(block), byteCount: Pair.byteCount, seed: block)
    sheets[block] = sheet
    return sheet
  }

  /// A request: what is there is read in one batch, what is not is written in another.
  func ask(_ blocks: [UInt64]) throws {
    disk.clock.advance(nanoseconds: 1_000_000_000)
    let there = blocks.filter { isInDryRun($0) }
    if !there.isEmpty {
      requestCount += 1
      there.map(Pair.key).withUnsafeBufferPointer { dry.touch($0, SlotClass(rawValue: 0), origin) }
      let kinds = try tier.read(there.map(sheet))
      #expect(kinds.allSatisfy { $0 == .done })
    }
    let missing = blocks.filter { !there.contains($0) }
    guard !missing.isEmpty else { return }
    requestCount += 1
    let none = StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: .max), generation: 0)
    var grants = Array(repeating: none, count: missing.count)
    try missing.map(Pair.key).withUnsafeBufferPointer { keys in
      let request = StoreRequest(origin: origin, keys: keys, slotClass: SlotClass(rawValue: 0))
      if let lease = try grants.withUnsafeMutableBufferPointer({ try dry.beginStore(request, into: $0) }) {
        dry.commit(lease)
      }
    }
    let before = tier.usage.counters.evictedCount
    for (grant, kind) in zip(grants, try tier.write(missing.map(sheet))) {
      #expect(kind == (grant.outcome == .admitted ? .done : .refused))
      refusedCount += kind == .refused ? 1 : 0
      dryRefusedCount += grant.outcome == .refused ? 1 : 0
    }
    evictedCount += tier.usage.counters.evictedCount - before
    let admitted = zip(missing, grants).filter { $0.1.outcome == .admitted }.map(\.0)
    written.removeAll { admitted.contains($0) }
    written += admitted.reversed()
  }

  private var origin: RequestOrigin {
    RequestOrigin(request: RequestID(rawValue: requestCount), time: disk.clock.nanoseconds)
  }

  private func isInDryRun(_ block: UInt64) -> Bool {
    var states = [KeyState.absent]
    return [Pair.key(block)].withUnsafeBufferPointer { keys in
      states.withUnsafeMutableBufferPointer { dry.states(of: keys, into: $0).readyCount == 1 }
    }
  }

  /// Forgets the only identity on the disk.
  func forget() throws { _ = try tier.forget(Pair.name(0).identity) }

  /// Pages that the tier's orders know by name alone.
  var ghostCount: Int {
    tier.core.withLock { core in
      core.table.orders.values.reduce(0) { $0 + (($1 as? PolicyOrder)?.table.statistics.ghosts ?? 0) }
    }
  }

  /// Whether no page is on the disk.
  var isEmpty: Bool { tier.usage.pageCount == 0 }

  /// Whether both hold the same of these blocks, and the tier's own books agree.
  func isSame(_ blocks: [UInt64]) -> Bool {
    var found: [Bool] = []
    tier.peek(blocks.map(Pair.name), into: &found)
    return found == blocks.map(isInDryRun) && tier.orderProblems.isEmpty
  }

  /// The process is killed and another one begins: what is there stays, the one written last being the last to go.
  func restart() throws {
    let left = written.filter { isInDryRun($0) }
    disk.kill()
    try open()
    try fillDry(left)
  }
}
