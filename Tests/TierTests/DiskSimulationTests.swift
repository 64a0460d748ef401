import RoostPrimitives
import RoostStorage
import Testing

/// The real disk tier on simulated storage, 100 seeds (1,000 in CI, see `Soak`); RoostSimulation says what may break.
@Suite struct DiskSimulationTests {
  @Test(arguments: 0..<10 as Range<UInt64>) func noSeedGivesAWrongByteOrLosesAPromisedPage(part: UInt64) throws {
    var compared = 0
    for seed in Soak.seeds(10, part: part) {
      let run = try DiskRun(seed: seed)
      for complaint in try run.run() { Issue.record("\(complaint)") }
      compared += run.comparedCount
    }
    // A run in which nothing can be read finds nothing wrong either.
    #expect(compared > 10 * 20, "\(compared) pages were compared")
  }

  @Test func aSeedGivesTheSameRunTwice() throws {
    for seed in 0..<8 as Range<UInt64> {
      let runs = try (0..<2).map { _ in
        let run = try DiskRun(seed: seed)
        return (try run.run(), run.comparedCount)
      }
      #expect(runs[0] == runs[1])
    }
  }

  @Test func theCheckerFindsBytesThatChangeAfterTheirSeal() throws {
    for seed in 0..<10 as Range<UInt64> {
      let found = try DiskRun(seed: seed, canary: .tampering).run()
      #expect(found.contains { $0.contains("A WRONG BYTE") }, "seed \(seed)")
    }
  }

  @Test func theCheckerFindsPagesThatADiskHasOnlyPretendedToSync() throws {
    var foundCount = 0
    for seed in stride(from: 0, to: 100, by: 4) as StrideTo<UInt64> {
      foundCount += try DiskRun(seed: seed, canary: .emptySyncs).run().contains { $0.contains("was promised") } ? 1 : 0
    }
    #expect(foundCount > 2, "\(foundCount) of 25")
  }
}
