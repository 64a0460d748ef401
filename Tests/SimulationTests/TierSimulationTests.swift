import Foundation
import RoostPrimitives
import Testing

/// The whole engine over the real disk tier on a simulated disk: 100 seeds, with ROOST_SOAK=n in the environment n times
/// as many (CI's stage `disk`: 1,000). A failure prints its seed:
/// `ROOST_TEST_SEED=n swift test --filter TierSimulationTests`.
@Suite struct TierSimulationTests {
  private static let chosen = number("ROOST_TEST_SEED")
  private static let seedsPerPart = 10 * (number("ROOST_SOAK") ?? 1)

  private static func number(_ variable: String) -> UInt64? {
    ProcessInfo.processInfo.environment[variable].flatMap(UInt64.init)
  }

  init() { Log.level = .error }

  @Test(.enabled(if: chosen == nil), arguments: 0..<10 as Range<UInt64>)
  func noSeedLeadsToAWrongByteALostLeaseOrARequestThatNeverEnds(part: UInt64) throws {
    var (loaded, promoted, demoted, crashes) = (0, 0, 0, 0)
    var faults: [String: Int] = [:]
    let seeds = part * Self.seedsPerPart..<(part + 1) * Self.seedsPerPart
    for seed in seeds {
      let run = try TierRun(seed: seed)
      for complaint in try run.run() { Issue.record("\(complaint)") }
      loaded += run.loadedCount
      promoted += run.promotedCount
      demoted += run.demotedCount
      crashes += run.crashCount
      for (name, count) in run.disk.faultCounts { faults[name, default: 0] += count }
    }
    // The runs must have had something to get wrong.
    let count = seeds.count
    #expect(
      loaded > 20 * count && promoted > 3 * count && demoted > 10 * count && crashes > count,
      "\(loaded), \(promoted), \(demoted), \(crashes)")
    #expect(faults.values.reduce(0, +) > 4 * count, "\(faults)")
  }

  @Test(.enabled(if: chosen != nil)) func theChosenSeed() throws {
    guard let seed = Self.chosen else { return }
    let run = try TierRun(seed: seed)
    for complaint in try run.run() { Issue.record("\(complaint)") }
    print("seed \(seed): digest \(run.digest), \(run.loadedCount) loaded, faults \(run.disk.faultCounts)")
  }

  @Test func theSameSeedHasTheSameRun() throws {
    for seed in 0..<8 as Range<UInt64> {
      let runs = try (0..<2).map { _ in
        let run = try TierRun(seed: seed)
        return (try run.run(), run.digest, run.disk.faultCounts)
      }
      #expect(runs[0] == runs[1], "seed \(seed)")
    }
  }

  @Test func theCheckerFindsBytesThatChangeAfterTheTiersCheck() throws {
    for seed in 0..<10 as Range<UInt64> {
      let found = try TierRun(seed: seed, canary: .tampering).run()
      #expect(found.contains { $0.contains("WRONG BYTES") }, "seed \(seed)")
    }
  }

  @Test func theCheckerFindsALeaseThatIsNeverEnded() throws {
    for seed in 0..<10 as Range<UInt64> {
      let found = try TierRun(seed: seed, canary: .lostLease).run()
      #expect(found.contains { $0.contains("leases") }, "seed \(seed)")
    }
  }
}
