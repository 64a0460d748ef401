import RoostConsole
import RoostPrimitives
import Testing

@testable import RoostReplay

@Suite struct ReplayPartsTests {
  @Test func percentilesAreWithinTheWidthOfABucketOfTheExactOnes() {
    let seed: UInt64 = 31
    var random = SplitMix64(seed: seed)
    for _ in 0..<40 {
      var histogram = LatencyHistogram()
      let samples = (0..<Int.random(in: 1...2_000, using: &random)).map { _ in
        random.next() >> UInt64.random(in: 20...63, using: &random)
      }.sorted()
      for sample in samples.shuffled(using: &random) { histogram.add(nanoseconds: sample) }
      for share in [0, 0.001, 0.5, 0.9, 0.99, 1] {
        let rank = max(1, Int((Double(samples.count) * share).rounded(.up)))
        let exact = samples[rank - 1]
        let found = histogram.percentile(share)
        #expect(found >= exact && Double(found) <= Double(exact) * 33 / 32, "seed \(seed), share \(share)")
      }
      #expect(histogram.count == samples.count && histogram.maxNanoseconds == samples.last)
    }
    var extreme = LatencyHistogram()
    extreme.add(nanoseconds: .max)
    #expect(extreme.percentile(0.5) == .max)
    #expect(LatencyHistogram().percentile(0.5) == 0)
  }

  @Test func faultsAreSpreadAndEveryOneComes() {
    for count in [0, 1, 7, 1_000] {
      var plan = FaultPlan(count: count, requestCount: 500, seed: 5)
      var due: [Int] = []
      for request in 1...500 { due += Array(repeating: request, count: plan.take(at: request, limit: .max)) }
      #expect(due.count == count)
      #expect(due.allSatisfy { $0 <= 451 })
      if count == 1_000 { #expect(Set(due).count > 300) }
    }
    var open = FaultPlan(count: 5, requestCount: nil, seed: 5)
    #expect((1...320).reduce(0) { $0 + open.take(at: $1, limit: .max) } == 5)
    var late = FaultPlan(count: 5, requestCount: 10, seed: 5)
    #expect(late.take(at: 10, limit: 2) == 2 && late.take(at: 10, limit: 2) == 2 && late.take(at: 10, limit: 2) == 1)
  }

  @Test func traceTimeNeverGoesBack() {
    let clock = TraceClock()
    clock.advance(toMilliseconds: 5)
    clock.advance(toMilliseconds: 3)
    #expect(clock.nanoseconds == 5_000_000)
    clock.advance(toMilliseconds: .max)
    #expect(clock.nanoseconds == UInt64(Int.max / 1_000_000) * 1_000_000)
  }

  @Test func differentIDsHaveDifferentKeysAndPatterns() {
    let keys = ReplayKeys(identity: IdentityID(rawValue: 0))
    let ids = (0..<50_000).map { UInt64($0) } + [UInt64(Int64.max), UInt64(UInt32.max)]
    #expect(Set(ids.map { keys.key(of: $0) }).count == ids.count)
    #expect(Set(ids.map { ReplayKeys.patternSeed(of: $0) }).count == ids.count)
    #expect(Set(ids.map { keys.key(of: $0).words.0 }).count == ids.count)
  }

  @Test(arguments: ["llama-3.1-8b", "deepseek-v3", "layers=3,heads=2,head-dim=3,dtype=int8,tokens=5"])
  func aPageMatchesItsOwnPatternAndNoOther(model: String) throws {
    let page = try PageGeometry(scaling: try ModelGeometry(parsing: model), to: 150_000)
    let (window, _) = try PageMover.window(ReplayConfiguration(page: page, slotCount: 1))
    #expect(window.shape.pageByteCount == page.byteCount)
    for index in 0..<3 { window.fill(UInt32(index), seed: ReplayKeys.patternSeed(of: UInt64(index))) }
    for index in 0..<3 {
      for id in 0..<3 {
        let wrong = window.wrongByteCount(UInt32(index), seed: ReplayKeys.patternSeed(of: UInt64(id)))
        // Of random bytes one in 256 is equal by chance.
        #expect(index == id ? wrong == 0 : wrong > page.byteCount * 9 / 10)
      }
    }
  }
}

@Suite struct ReplayReportTests {
  private func report(_ change: (inout ReplayStatistics) -> Void) throws -> ReplayReport {
    let page = try PageGeometry(scaling: try ModelGeometry(parsing: "llama-3.1-8b"), to: 256 << 10)
    var statistics = ReplayStatistics()
    statistics.requestCount = 2
    statistics.referenceCount = 8
    statistics.prefixHitCount = 2
    change(&statistics)
    return ReplayReport(ReplayConfiguration(page: page, slotCount: 16), source: "t", statistics)
  }

  @Test func ratesAreOfCopiesAloneAndNullWithoutThem() throws {
    let moved = try report {
      $0.loadedByteCount = 3_000_000_000
      $0.loadSeconds = 1.5
      $0.memcpySamples = [4, 1, 3, 8]
    }
    #expect(moved.json["load_gbps"]?.double == 2)
    #expect(moved.json["store_gbps"] == .null)
    #expect(moved.json["memcpy_gbps"]?.double == 3.5)
    #expect(moved.json["prefix_hit_ratio"]?.double == 0.25)
    #expect(moved.text.contains("0.57x memcpy"))
    #expect(try report { _ in }.json["lookup_ns_per_block"]?.double == 0)
  }

  @Test func anythingThatWentWrongIsUnsoundAndSaid() throws {
    #expect(try report { _ in }.statistics.isSound)
    let changes: [(inout ReplayStatistics) -> Void] = [
      { $0.verifyFailureCount = 1 }, { $0.failedCopyCount = 1 }, { $0.loadShortfallCount = 1 },
    ]
    let words = ["DID NOT VERIFY", "copies FAILED", "could NOT BE LOADED"]
    for (change, word) in zip(changes, words) {
      let report = try report(change)
      #expect(!report.statistics.isSound)
      #expect(report.text.contains(word))
    }
  }
}
