import DeviceMock
import RoostBuiltins
import RoostEngine
import RoostPrimitives
import RoostSimulation
import RoostStorage
import TierDisk

/// How an engine over a disk tier is set up in a simulated run; the same at every start.
struct TierStageSetting {
  private var stage = StageSettings()
  private let admission: TierSetup.Admission
  private let prefillTokensPerSecond: Double?
  private let capacity: ByteCount
  private let sync: SyncPolicy
  private let deviceFaults: [MockFault]
  private let isTampering: Bool

  init(using random: inout SplitMix64, isTampering: Bool) {
    self.isTampering = isTampering
    stage.slotCount = Int.random(in: 6...20, using: &random)
    // Pages of 1, 5 and 8 KiB: shorter than what a drive moves, no multiple of it, a multiple of it.
    stage.itemByteCount = [64, 320, 512].randomElement(using: &random) ?? 64
    if !isTampering, Bool.random(using: &random) { stage.verification = .host }
    let admissions: [TierSetup.Admission] = [.all, .all, .all, .again]
    admission = admissions.randomElement(using: &random) ?? .all
    // About what the simulated disk delivers, so that now one way is faster and now the other.
    prefillTokensPerSecond = Int.random(in: 0..<4, using: &random) == 0 ? 20_000 : nil
    // Room for all pages, or for half of them.
    capacity = .kibibytes([256, 512, 1024].randomElement(using: &random) ?? 1024)
    sync = Bool.random(using: &random) ? .batch : .never
    let faultCount = Int.random(in: 0..<3, using: &random)
    deviceFaults = (0..<faultCount).map { _ in MockFault(.failedCopy, step: Int.random(in: 0..<2000, using: &random)) }
  }

  /// Opens it on what the disk holds.
  func open(_ disk: SimulatedDisk, _ seed: UInt64) throws -> (Stage, PluggedTier) {
    var configuration = DiskTierConfiguration(capacity: capacity)
    configuration.segment = .kibibytes(64)
    configuration.sync = sync
    configuration.depth = 4
    configuration.scanThreadCount = 1
    configuration.clock = disk.clock
    configuration.wallSeconds = { 0 }
    configuration.seed = seed
    // The tier's own order, or that of a policy.
    let orders = [nil] + Builtins.diskOrders().map(Optional.some)
    configuration.order = orders[Int(seed % UInt64(orders.count))]
    // What a full disk does not take for a while, it takes later.
    for _ in 0..<100 {
      let made: DiskTier
      do throws(RoostError) {
        made = try DiskTier(SimulatedDirectory(disk), configuration)
      } catch {
        continue
      }
      let tier = PluggedTier(made, tampers: isTampering)
      var setup = TierSetup(tier)
      setup.admission = admission
      setup.prefillTokensPerSecond = prefillTokensPerSecond
      setup.driving = .caller
      return (try Stage(stage, seed: seed, faults: deviceFaults, tier: (setup, disk.clock)), tier)
    }
    throw RoostError(.outOfResources, "the simulated disk takes nothing")
  }
}

/// The disk tier behind a plug that can be pulled, as the death of a process does; and, as a canary, one that changes a
/// byte of every page that it reads, behind the check.
final class PluggedTier: Tier {
  private let inner: Guarded<(any Tier)?>
  private let tampers: Bool
  private let batches = Guarded<[TierTicket: TierBatch]>([:])

  let name = "plugged"

  init(_ inner: any Tier, tampers: Bool) {
    self.inner = Guarded(inner)
    self.tampers = tampers
  }

  /// From now on nothing comes back.
  func pull() { inner.withLock { $0 = nil } }

  private func plugged() throws(RoostError) -> any Tier {
    guard let tier = inner.withLock({ $0 }) else { throw RoostError(.lost, "the plug is pulled") }
    return tier
  }

  var usage: TierUsage { inner.withLock { $0 }?.usage ?? TierUsage() }

  func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    let ticket = try plugged().submit(batch)
    if tampers { batches.withLock { $0[ticket] = batch } }
    return ticket
  }

  func poll(_ max: Int, into events: inout [TierEvent]) {
    let first = events.count
    inner.withLock { $0 }?.poll(max, into: &events)
    guard tampers else { return }
    for event in events[first...] {
      guard case .page(let ticket, let index, .done) = event, let batch = batches.withLock({ $0[ticket] }),
        batch.verb == .read
      else { continue }
      batch.pages[index].memory[0] ^= 1
    }
  }

  func wait(until deadline: Deadline) -> Bool { inner.withLock { $0 }?.wait(until: deadline) ?? false }
  func peek(_ names: [PageName], into found: inout [Bool]) {
    guard let tier = inner.withLock({ $0 }) else { return found = names.map { _ in false } }
    tier.peek(names, into: &found)
  }
  func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport {
    try plugged().recover(until: deadline)
  }
  func forget(_ identity: IdentityDigest) throws(RoostError) -> Int { try plugged().forget(identity) }
  func drain(until deadline: Deadline) throws(RoostError) { try plugged().drain(until: deadline) }
  func close(until deadline: Deadline) { inner.withLock { $0 }?.close(until: deadline) }
}
