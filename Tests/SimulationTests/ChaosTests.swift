import DeviceMock
import Foundation
import RoostPrimitives
import Testing

/// Random requests against random settings and faults. A failure prints its seed, which is all that is needed to see it
/// again: `ROOST_TEST_SEED=n swift test --filter ChaosTests`.
@Suite struct ChaosTests {
  private static let chosen = number("ROOST_TEST_SEED")
  /// More of them for a long soak.
  private static let seedCount = number("ROOST_TEST_SEED_COUNT") ?? 1000

  private static func number(_ variable: String) -> UInt64? {
    ProcessInfo.processInfo.environment[variable].flatMap(UInt64.init)
  }

  @Test func noSeedLeadsToAWrongByteOrALostLease() throws {
    var loadedCount = 0
    var publishedCount = 0
    var fired: [MockFault.Kind: Int] = [:]
    for seed in Self.chosen.map({ $0...$0 }) ?? 0...Self.seedCount - 1 {
      let run = try SimulatedRun.chaos(seed: seed)
      #expect(run.complaints.isEmpty, "seed \(seed), faults \(run.stage.allFiredFaults)")
      loadedCount += run.loadedCount
      publishedCount += run.publishedCount
      for fault in run.stage.allFiredFaults { fired[fault.kind, default: 0] += 1 }
    }
    guard Self.chosen == nil else { return }
    // The runs must have had something to get wrong.
    #expect(loadedCount > 3_000 && publishedCount > 3_000, "\(loadedCount) loaded, \(publishedCount) published")
    for kind in MockFault.Kind.honest { #expect(fired[kind, default: 0] > 100, "\(kind): \(fired)") }
  }

  @Test func theSameSeedHasTheSameRun() throws {
    var comparedCount = 0
    for seed in 2000..<2060 as Range<UInt64> {
      let first = try SimulatedRun.chaos(seed: seed, faultCountMax: 0)
      // A staged run has a thread of the queue's own (as has one whose stream has failed), and its order is the system's.
      guard !first.stage.settings.isStaged else { continue }
      let second = try SimulatedRun.chaos(seed: seed, faultCountMax: 0)
      #expect(first.stage.device.history == second.stage.device.history, "seed \(seed)")
      #expect(first.loadedCount == second.loadedCount && first.publishedCount == second.publishedCount, "seed \(seed)")
      comparedCount += 1
    }
    #expect(comparedCount > 20)
  }
}
