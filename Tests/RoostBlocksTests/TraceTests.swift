import Foundation
import RoostPrimitives
import Testing

@testable import RoostBlocks

/// A point of the published reference: LRU hits of a whole trace, from a cold cache.
struct TracePoint: CustomTestStringConvertible, Sendable {
  let trace: String
  let blocks: Int
  let hits: Int
  var testDescription: String { "\(trace) with \(blocks) blocks" }

  static let all = [
    TracePoint(trace: "mooncake_conversation", blocks: 1827, hits: 15_136),
    TracePoint(trace: "mooncake_conversation", blocks: 9139, hits: 56_479),
    TracePoint(trace: "mooncake_conversation", blocks: 18279, hits: 80_466),
    TracePoint(trace: "mooncake_conversation", blocks: 45697, hits: 101_978),
    TracePoint(trace: "mooncake_conversation", blocks: 91395, hits: 104_759),
    TracePoint(trace: "mooncake_synthetic", blocks: 439, hits: 4_644),
    TracePoint(trace: "mooncake_synthetic", blocks: 2196, hits: 19_087),
    TracePoint(trace: "mooncake_synthetic", blocks: 4392, hits: 31_973),
    TracePoint(trace: "mooncake_synthetic", blocks: 10981, hits: 54_123),
    TracePoint(trace: "mooncake_synthetic", blocks: 21962, hits: 71_763),
    TracePoint(trace: "tau_airline", blocks: 74, hits: 59_047),
    TracePoint(trace: "tau_airline", blocks: 372, hits: 82_742),
    TracePoint(trace: "tau_airline", blocks: 744, hits: 111_585),
    TracePoint(trace: "tau_airline", blocks: 1861, hits: 111_589),
    TracePoint(trace: "tau_airline", blocks: 3723, hits: 111_591),
    TracePoint(trace: "ragpulse", blocks: 587, hits: 12_823),
    TracePoint(trace: "ragpulse", blocks: 2935, hits: 12_874),
    TracePoint(trace: "claude_code_a_512", blocks: 576, hits: 1_559_029),
    TracePoint(trace: "claude_code_a_512", blocks: 1153, hits: 3_133_730),
    TracePoint(trace: "claude_code_a_512", blocks: 2307, hits: 4_913_578),
    TracePoint(trace: "claude_code_a_512", blocks: 4615, hits: 5_852_780),
  ]

  /// 6.4 M references a point take half a minute without optimisation: only on request.
  static let large = ProcessInfo.processInfo.environment["ROOST_TEST_LARGE_TRACES"] != nil
  static let traces = Set(all.map(\.trace)).filter { large || !$0.hasPrefix("claude") }.sorted()
}

/// A point of the published reference of the hazard-index policy: hits after 100 requests, after 200, and at the end,
/// and newcomers refused in all.
struct HazardPoint: CustomTestStringConvertible, Sendable {
  let trace: String
  let blocks: Int
  let early: [Int: Int]
  let hits: Int
  let refused: Int
  var testDescription: String { "\(trace) with \(blocks) blocks" }

  static let small = [
    HazardPoint(
      trace: "mooncake_conversation", blocks: 1827, early: [100: 99, 200: 255, 2000: 5_009], hits: 30_811,
      refused: 203_081),
    HazardPoint(
      trace: "mooncake_conversation", blocks: 9139, early: [100: 99, 200: 322, 500: 2_139, 2000: 11_068], hits: 65_132,
      refused: 59_271),
    HazardPoint(
      trace: "mooncake_synthetic", blocks: 2196, early: [100: 101, 200: 269, 2000: 2_591], hits: 21_256,
      refused: 27_681),
    // Requests longer than the pool, all of them; the reference does not count the ends of them as refused.
    HazardPoint(trace: "tau_airline", blocks: 74, early: [:], hits: 65_146, refused: 48_990),
    HazardPoint(
      trace: "tau_airline", blocks: 372, early: [100: 2_835, 200: 6_567, 2000: 81_033], hits: 102_107,
      refused: 10_312),
  ]
  static let claude = [
    HazardPoint(
      trace: "claude_code_a_512", blocks: 576, early: [100: 10_350, 200: 20_882], hits: 2_465_453, refused: 3_057_677),
    HazardPoint(
      trace: "claude_code_a_512", blocks: 2307, early: [100: 10_908, 200: 22_230], hits: 5_060_120, refused: 432_950),
  ]
  static let all = small + (TracePoint.large ? claude : [])
}

@Suite struct TraceTests {
  @Test(
    .enabled(if: TracePoint.traces.allSatisfy(Trace.exists), "the public traces are not here"),
    arguments: TracePoint.traces)
  func leastRecentlyUsedGivesThePublishedHits(name: String) throws {
    let trace = try Trace(name)
    for point in TracePoint.all where point.trace == name {
      let outcome = try replay(trace, blocks: point.blocks, LeastRecentlyUsed.factory)
      #expect(outcome.hits.last == point.hits, "\(point.testDescription)")
    }
  }

  @Test(
    .enabled(if: HazardPoint.all.map(\.trace).allSatisfy(Trace.exists), "the public traces are not here"),
    arguments: HazardPoint.all)
  func theHazardIndexGivesThePublishedHits(point: HazardPoint) throws {
    let outcome = try replay(try Trace(point.trace), blocks: point.blocks, HazardIndex.factory)
    for (count, hits) in point.early { #expect(outcome.hits[count - 1] == hits, "after \(count) requests") }
    #expect(outcome.hits.last == point.hits)
    #expect(outcome.refused == point.refused)
    #expect(outcome.ghosts <= 2 * point.blocks)
  }

  /// The reference's column "with output length".
  static let withOutputLength = [
    HazardPoint(trace: "mooncake_conversation", blocks: 1827, early: [:], hits: 30_819, refused: 181_709),
    HazardPoint(trace: "mooncake_synthetic", blocks: 10981, early: [:], hits: 61_723, refused: 9_034),
    HazardPoint(trace: "tau_airline", blocks: 372, early: [:], hits: 102_188, refused: 10_333),
  ]

  @Test(
    .enabled(if: withOutputLength.map(\.trace).allSatisfy(Trace.exists), "the public traces are not here"),
    arguments: withOutputLength)
  func theOutputLengthGivesThePublishedHits(point: HazardPoint) throws {
    let outcome = try replay(
      try Trace(point.trace), blocks: point.blocks, HazardIndex.factory, tellsOutputLength: true)
    #expect(outcome.hits.last == point.hits)
    #expect(outcome.refused == point.refused)
  }

  /// The reference table of ARC, in percent of all references.
  static let adaptive: [(trace: String, blocks: Int, percent: Double)] = [
    ("mooncake_conversation", 1827, 6.49), ("mooncake_synthetic", 439, 4.22), ("mooncake_synthetic", 4392, 26.57),
    ("mooncake_synthetic", 10981, 45.99), ("tau_airline", 74, 49.86), ("tau_airline", 372, 76.84),
    ("tau_airline", 744, 93.69),
  ]

  @Test(
    .enabled(if: adaptive.map(\.trace).allSatisfy(Trace.exists), "the public traces are not here"),
    arguments: adaptive)
  func adaptiveReplacementIsNearThePublishedRatios(trace: String, blocks: Int, percent: Double) throws {
    let whole = try Trace(trace)
    let outcome = try replay(whole, blocks: blocks, AdaptiveReplacement.factory)
    let ratio = 100 * Double(outcome.hits.last ?? 0) / Double(whole.requests.joined().count)
    #expect(abs(ratio - percent) < 0.4, "\(trace) with \(blocks) blocks: \(ratio)")
    #expect(outcome.ghosts <= blocks)
  }

  private func replay(
    _ trace: Trace, blocks: Int, _ policy: PolicyFactory, tellsOutputLength: Bool = false
  ) throws -> (hits: [Int], refused: Int, ghosts: Int) {
    var table = try BlockTable(
      BlockTableConfiguration(slotCountMax: blocks, policy: policy, reportsChanges: false))
    table.addSlots(0..<UInt32(blocks), SlotClass(rawValue: 0))
    let longest = trace.requests.map(\.count).max() ?? 0
    let states = UnsafeMutableBufferPointer<KeyState>.allocate(capacity: longest)
    let grants = UnsafeMutableBufferPointer<StoreGrant>.allocate(capacity: longest)
    defer {
      states.deallocate()
      grants.deallocate()
    }
    var hits: [Int] = []
    for (number, keys) in trace.requests.enumerated() {
      try keys.withUnsafeBufferPointer { keys in
        hits.append((hits.last ?? 0) + table.match(keys, into: states))
        let origin = RequestOrigin(
          request: RequestID(rawValue: UInt64(number)), time: trace.milliseconds[number] * 1_000_000,
          outputTokenCount: tellsOutputLength ? trace.outputTokens[number] : nil)
        let request = StoreRequest(origin: origin, keys: keys, slotClass: SlotClass(rawValue: 0))
        if let lease = try table.beginStore(request, into: grants) { table.commit(lease) }
      }
    }
    #expect(table.checkInvariants() == [])
    return (hits, table.statistics.refused, table.statistics.ghosts)
  }
}
