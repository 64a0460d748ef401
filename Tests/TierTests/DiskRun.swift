import RoostConformance
import RoostPrimitives
import RoostSimulation
import RoostStorage

@testable import TierDisk

/// One seeded run of the real disk tier on a simulated disk, with crashes, and what was found wrong.
///
/// Checked always: a page that is read is exact, in its bytes and its facts; every batch ends; counters reconcile.
/// Checked if the disk only delays and forgets (`isHarmless`): a page reported as written and synced is there after any
/// crash, one reported as written after any kill; a removed page stays away until the next crash.
final class DiskRun {
  enum Canary {
    case none
    /// Bytes change after their check.
    case tampering
    /// The disk says that it has synced.
    case emptySyncs
  }

  private static let pageCount: UInt64 = 36
  private static let lengths = [1000, 4096, 10_000, 24_576]

  private(set) var complaints: [String] = []
  /// Pages read whose every byte was compared.
  private(set) var comparedCount = 0
  private var generator: SplitMix64
  private let seed: UInt64
  private let canary: Canary
  private let isHarmless: Bool
  private let sync: SyncPolicy
  private let disk: SimulatedDisk
  private let faults: StorageFaults
  private var tier: any Tier
  /// The same without what stands around it.
  private var diskTier: DiskTier?
  private var batches: [TierTicket: Batch] = [:]
  private var pages = [Promise](repeating: .none, count: Int(pageCount))

  /// Pages with a write submitted after the last removal: which of the two ends last says nothing.
  private var rewritten: Set<UInt64> = []

  private struct Batch {
    let verb: TierVerb
    let numbers: [UInt64]
    let sheets: [TierSheet]
    /// Pages that were forgotten meanwhile: what is told of them says nothing about now.
    var forgotten: Set<UInt64> = []
  }

  /// What is known of a page.
  private enum Promise {
    /// Nothing.
    case none
    /// It was written; and synced.
    case there
    /// It was removed.
    case gone
    /// It was forgotten, and the tier drained.
    case erased
  }

  init(seed: UInt64, canary: Canary = .none) throws(RoostError) {
    self.seed = seed
    self.canary = canary
    generator = SplitMix64(seed: seed)
    isHarmless = canary == .emptySyncs || seed % 2 == 0
    sync = seed % 4 < 2 ? .batch : .never
    var faults =
      isHarmless ? StorageFaults.harmless(using: &generator) : StorageFaults.any(using: &generator)
    if canary == .emptySyncs { faults.emptySync = 1000 }
    self.faults = faults
    let clock = SeededClock(seed: seed)
    disk = SimulatedDisk(seed: generator.next(), capacityBytes: 4 << 20, faults: faults, clock: clock)
    tier = MemoryTier(capacity: .kibibytes(1))
    try open()
  }

  /// Does everything.
  func run(stepCount: Int = 80) throws(RoostError) -> [String] {
    for _ in 0..<stepCount {
      try step()
      if !complaints.isEmpty { return complaints }
    }
    disk.setFaults(StorageFaults())
    finishBatches()
    reconcile()
    readEverything()
    tier.close(until: .never)
    batches = [:]
    try open()
    readEverything()
    tier.close(until: .never)
    return complaints
  }

  private func complain(_ text: String) { complaints.append("seed \(seed): \(text)") }

  private func open() throws(RoostError) {
    // What a full disk does not take for a while, it takes later.
    diskTier = nil
    for attempt in 0..<100 {
      do throws(RoostError) {
        // With room for every page many times, unless eviction is wanted.
        let capacity = isHarmless ? 3 << 20 : 512 << 10
        let made = try Scratch.simulated(
          disk, capacity: capacity, sync: sync, seed: seed, policy: Scratch.policy(ofSeed: seed / 4))
        tier = canary == .tampering ? TamperingTier(made) : made
        _ = try tier.recover(until: .never)
        diskTier = made
        return
      } catch {
        if attempt == 99 { throw error }
        tier = MemoryTier(capacity: .kibibytes(1))
      }
    }
  }

  private func step() throws(RoostError) {
    switch Int.random(in: 0..<100, using: &generator) {
    case 0..<35: try submit(.write, 6)
    case 35..<65: try submit(.read, 6)
    case 65..<70: try submit(.contains, 6)
    case 70..<76: try submit(.remove, 2)
    case 76..<92: for _ in 0..<Int.random(in: 1..<20, using: &generator) { poll() }
    case 92..<94: try forget()
    case 94..<96: try restart(crashing: true)
    case 96..<98: try restart(crashing: false)
    default:
      finishBatches()
      reconcile()
      tier.close(until: .never)
      try open()
    }
    poll()
  }

  private func restart(crashing isCrash: Bool) throws(RoostError) {
    if isCrash { disk.crash() } else { disk.kill() }
    // The process is gone, and its memory with it.
    batches = [:]
    for index in pages.indices {
      switch pages[index] {
      case .there: if isCrash, sync == .never { pages[index] = .none }
      case .gone: pages[index] = .none
      case .none, .erased: break
      }
    }
    try open()
  }

  private func forget() throws(RoostError) {
    let first = UInt64.random(in: 0..<5, using: &generator)
    let numbers = Set(stride(from: first, to: DiskRun.pageCount, by: 5))
    for ticket in batches.keys { batches[ticket]?.forgotten.formUnion(numbers) }
    _ = try tier.forget(TierSheet.name(first).identity)
    let isDrained: Bool
    if Bool.random(using: &generator) {
      isDrained = (try? tier.drain(until: .never)) != nil
    } else {
      isDrained = false
    }
    for number in numbers { pages[Int(number)] = isDrained ? .erased : .gone }
    rewritten.subtract(numbers)
  }

  private func submit(_ verb: TierVerb, _ most: Int) throws(RoostError) {
    let count = Int.random(in: 1...most, using: &generator)
    let numbers = (0..<count).map { _ in UInt64.random(in: 0..<DiskRun.pageCount, using: &generator) }
    let sheets = Set(numbers).sorted().map { sheet($0) }
    let shown = verb == .read ? sheets.map { $0.blank() } : sheets
    let pages = shown.map { verb == .write ? $0.forWriting : $0.forReading }
    let ticket = try tier.submit(TierBatch(verb, pages))
    let unique = Set(numbers).sorted()
    if verb == .write { rewritten.formUnion(unique) }
    if verb == .remove { rewritten.subtract(unique.filter { !isBeing(.remove, $0) }) }
    batches[ticket] = Batch(verb: verb, numbers: unique, sheets: shown)
    // From here on either may be seen.
    if verb == .remove || verb == .write {
      for number in unique where verb == .remove || isGone(number) { self.pages[Int(number)] = .none }
    }
  }

  private func isGone(_ number: UInt64) -> Bool {
    switch pages[Int(number)] {
    case .gone, .erased: true
    case .none, .there: false
    }
  }

  private func sheet(_ number: UInt64) -> TierSheet {
    TierSheet(number, byteCount: DiskRun.lengths[Int(number % 4)], shift: number % 3 == 0 ? 512 : 0)
  }

  private func poll() {
    var events: [TierEvent] = []
    tier.poll(50, into: &events)
    for event in events {
      switch event {
      case .released(let ticket): batches[ticket] = nil
      case .page(let ticket, let index, let outcome):
        guard let batch = batches[ticket] else {
          complain("an outcome for a batch that has ended")
          continue
        }
        take(outcome, batch, index)
      }
    }
  }

  private func take(_ outcome: PageOutcome, _ batch: Batch, _ index: Int) {
    let number = batch.numbers[index]
    if batch.forgotten.contains(number), batch.verb != .read { return }
    switch (batch.verb, outcome) {
    case (.write, .done): if !isBeing(.remove, number) { pages[Int(number)] = .there }
    case (.remove, .done): if !rewritten.contains(number) { pages[Int(number)] = .gone }
    case (.read, .done(let facts)):
      let sheet = sheet(number)
      comparedCount += 1
      if !batch.sheets[index].equals(sheet) || facts != sheet.facts { complain("A WRONG BYTE in page \(number)") }
      if isGone(number), isHarmless, !batch.forgotten.contains(number) {
        complain("page \(number) was removed and is read")
      }
    case (.read, _), (.contains, .missing): checkLoss(number, outcome)
    default: break
    }
  }

  private func isBeing(_ verb: TierVerb, _ number: UInt64) -> Bool {
    batches.values.contains { $0.verb == verb && $0.numbers.contains(number) }
  }

  private func checkLoss(_ number: UInt64, _ outcome: PageOutcome) {
    guard isHarmless, case .there = pages[Int(number)], outcome.kind != .throttled,
      !isBeing(.remove, number), !isBeing(.write, number), tier.usage.counters.evictedCount == 0
    else { return }
    complain("page \(number) was promised and is \(outcome.kind.rawValue)")
  }

  private func finishBatches() {
    for _ in 0..<20_000 where !batches.isEmpty {
      poll()
      _ = tier.wait(until: .never)
    }
    if !batches.isEmpty { complain("\(batches.count) batches never end") }
  }

  private func reconcile() {
    let usage = tier.usage
    if usage.inFlightCount != 0 { complain("\(usage.inFlightCount) pages are in flight") }
    if usage.counters.submittedCount != usage.counters.endedCount {
      complain("\(usage.counters.submittedCount) pages submitted, \(usage.counters.endedCount) ended")
    }
    if usage.occupiedBytes > usage.capacityBytes { complain("over capacity") }
    for difference in diskTier?.orderProblems ?? [] { complain(difference) }
  }

  private func readEverything() {
    for number in 0..<DiskRun.pageCount {
      do throws(RoostError) {
        let sheet = sheet(number).blank()
        let ticket = try tier.submit(TierBatch(.read, [sheet.forReading]))
        batches[ticket] = Batch(verb: .read, numbers: [number], sheets: [sheet])
      } catch {
        complain("\(error)")
      }
      finishBatches()
    }
  }
}
