import RoostPrimitives
import Testing

@testable import RoostReplay

@Suite struct OfflineBoundTests {
  /// Requests over a random tree of prefixes: small enough that everything can be tried.
  static func requests(seed: UInt64, count: Int) -> [[UInt64]] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in
      var path: [UInt64] = []
      var node: UInt64 = 1
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        path.append(node)
        node = node * 2 + UInt64.random(in: 0...1, using: &random)
      }
      return path
    }
  }

  final class Requests: RequestStream {
    let name = "test"
    let requestCount: Int? = nil
    private var left: ArraySlice<[UInt64]>

    init(_ requests: [[UInt64]]) { left = requests[...] }

    func next(into request: inout TraceRequest) throws(RoostError) -> Bool {
      guard let ids = left.popFirst() else { return false }
      request.clear()
      request.milliseconds = 1_000 * left.startIndex
      request.outputTokenCount = ids.count
      request.ids += ids
      return true
    }
  }

  /// The most prefix hits over all choices of what to keep after each request.
  static func best(_ requests: ArraySlice<[UInt64]>, _ cache: Set<UInt64>, _ slots: Int) -> Int {
    guard let request = requests.first else { return 0 }
    let hits = request.prefix { cache.contains($0) }.count
    let all = Array(cache.union(request)).sorted()
    var most = 0
    for choice in 0..<(1 << all.count) where choice.nonzeroBitCount == min(slots, all.count) {
      let kept = Set(all.indices.filter { choice >> $0 & 1 == 1 }.map { all[$0] })
      most = max(most, best(requests.dropFirst(), kept, slots))
    }
    return hits + most
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func isTheBestOfAllChoices(seed: UInt64) throws {
    let requests = OfflineBoundTests.requests(seed: seed, count: 6)
    let bound = OfflineBound(try RecordedTrace(Requests(requests)))
    for slots in 1...3 {
      #expect(
        bound.hits(slotCount: slots) == OfflineBoundTests.best(requests[...], [], slots), "seed \(seed), \(slots) slots"
      )
    }
  }

  @Test func withRoomForAllEverythingThatComesBackIsAHit() throws {
    let requests = OfflineBoundTests.requests(seed: 3, count: 400)
    let trace = try RecordedTrace(Requests(requests))
    var seen = Set<UInt64>()
    let again = requests.joined().count { !seen.insert($0).inserted }
    #expect(trace.uniqueCount == seen.count)
    #expect(OfflineBound(trace).hits(slotCount: seen.count) == again)
  }

  @Test func aRecordedTraceIsTheStreamItWasReadFrom() throws {
    let requests = OfflineBoundTests.requests(seed: 4, count: 50)
    let (one, other) = (try RecordedTrace(Requests(requests)).stream(), Requests(requests))
    var (first, second) = (TraceRequest(), TraceRequest())
    while try other.next(into: &second) {
      #expect(try one.next(into: &first))
      #expect(first == second)
    }
    #expect(try !one.next(into: &first))
    #expect(try RecordedTrace(Requests(requests), limit: 7).requestCount == 7)
  }
}
