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

@Suite struct TraceTests {
  @Test(
    .enabled(if: TracePoint.traces.allSatisfy(Trace.exists), "the public traces are not here"),
    arguments: TracePoint.traces)
  func leastRecentlyUsedGivesThePublishedHits(name: String) throws {
    let trace = try Trace(name)
    for point in TracePoint.all where point.trace == name {
      #expect(try replay(trace, blocks: point.blocks) == point.hits, "\(point.testDescription)")
    }
  }

  private func replay(_ trace: Trace, blocks: Int) throws -> Int {
    var table = try BlockTable(
      BlockTableConfiguration(slotCountMax: blocks, policy: LeastRecentlyUsed.factory, reportsChanges: false))
    table.addSlots(0..<UInt32(blocks), SlotClass(rawValue: 0))
    let longest = trace.requests.map(\.count).max() ?? 0
    let states = UnsafeMutableBufferPointer<KeyState>.allocate(capacity: longest)
    let grants = UnsafeMutableBufferPointer<StoreGrant>.allocate(capacity: longest)
    defer {
      states.deallocate()
      grants.deallocate()
    }
    var hits = 0
    for (number, keys) in trace.requests.enumerated() {
      try keys.withUnsafeBufferPointer { keys in
        hits += table.match(keys, into: states)
        let origin = RequestOrigin(request: RequestID(rawValue: UInt64(number)), time: 0)
        let request = StoreRequest(origin: origin, keys: keys, slotClass: SlotClass(rawValue: 0))
        if let lease = try table.beginStore(request, into: grants) { table.commit(lease) }
      }
    }
    #expect(table.checkInvariants() == [])
    return hits
  }
}
