import RoostPrimitives
import Testing

@testable import RoostReplay

@Suite struct BuiltInWorkloadTests {
  private func requests(seed: UInt64, sessions: Int) throws -> [TraceRequest] {
    let workload = BuiltInWorkload(seed: seed, sessionCount: sessions)
    var all: [TraceRequest] = []
    var request = TraceRequest()
    while try workload.next(into: &request) { all.append(request) }
    #expect(workload.requestCount == all.count)
    return all
  }

  @Test func isTheSameForTheSameSeedAndAnotherForAnother() throws {
    let first = try requests(seed: 1, sessions: 50)
    #expect(try requests(seed: 1, sessions: 50) == first)
    #expect(try requests(seed: 2, sessions: 50) != first)
  }

  /// Fixed figures: a change of the generator changes every published figure that rests on it.
  @Test func isTheWorkloadThatTheFiguresWereMadeWith() throws {
    let all = try requests(seed: 1, sessions: 200)
    let unique = Set(all.flatMap(\.ids)).count
    #expect([all.count, all.reduce(0) { $0 + $1.ids.count }, unique] == [972, 24_815, 3_728])
  }

  @Test func givesEveryIDOnePredecessorAndRequestsInOrderOfTime() throws {
    let all = try requests(seed: 3, sessions: 300)
    var predecessor: [UInt64: UInt64?] = [:]
    for request in all {
      var before: UInt64?
      for id in request.ids {
        if let known = predecessor[id], known != before { Issue.record("id \(id) has two predecessors") }
        predecessor[id] = before
        before = id
      }
      #expect(!request.ids.isEmpty)
    }
    #expect(zip(all, all.dropFirst()).allSatisfy { $0.milliseconds <= $1.milliseconds })
  }

  @Test func aSessionOnlyEverGrows() throws {
    var last: [Int: [UInt64]] = [:]
    for request in try requests(seed: 4, sessions: 300) {
      let session = try #require(request.session)
      if let before = last[session] {
        if !request.ids.starts(with: before) || request.ids.count <= before.count {
          Issue.record("session \(session) does not grow")
        }
      }
      last[session] = request.ids
    }
    #expect(last.count == 300)
  }

  @Test func theQueueGivesSessionsInOrder() {
    let seed: UInt64 = 8
    var random = SplitMix64(seed: seed)
    var queue = SessionQueue()
    var times: [Int] = []
    for number in (0..<500).shuffled(using: &random) {
      let time = Int.random(in: 0..<100, using: &random)
      times.append(time)
      var session = Session(number: number, seed: seed)
      session.time = time
      queue.insert(session)
    }
    var popped: [Session] = []
    while let session = queue.popFirst() { popped.append(session) }
    #expect(popped.map(\.time) == times.sorted(), "seed \(seed)")
    #expect(zip(popped, popped.dropFirst()).allSatisfy { $0.isBefore($1) }, "seed \(seed)")
  }
}
