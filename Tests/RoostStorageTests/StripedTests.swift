import RoostPrimitives
import Testing

@testable import RoostStorage

/// Pages over several tiers. What every tier must do TierSuite asks of a striped one too.
@Suite struct StripedTests {
  private static func striped(_ stripes: [(String, any Tier, Int)]) -> Striped {
    Striped(stripes.map { Striped.Stripe($0.1, label: $0.0, capacity: .mebibytes($0.2)) })
  }

  private static func places(_ labels: [(String, Int)]) -> [String] {
    let tier = striped(labels.map { ($0.0, MemoryTier(capacity: .mebibytes(1)), $0.1) })
    return (0..<4000 as Range<UInt64>).map { labels[tier.stripe(of: Sheet($0, byteCount: 16).name)].0 }
  }

  @Test func eachTierGetsItsShare() {
    let places = StripedTests.places([("a", 10), ("b", 30)])
    let share = places.count { $0 == "b" }
    // Three quarters of 4,000 and five standard deviations of 27.
    #expect(abs(share - 3000) < 140, "\(share)")
  }

  @Test func aThirdTierTakesFromTheOthersAndNothingElseMoves() {
    let (before, after) = (
      StripedTests.places([("a", 10), ("b", 10)]), StripedTests.places([("c", 10), ("b", 10), ("a", 10)])
    )
    var movedCount = 0
    for (one, two) in zip(before, after) where one != two {
      #expect(two == "c")
      movedCount += 1
    }
    #expect(abs(movedCount - 1333) < 160, "\(movedCount)")
  }

  @Test func aBatchEndsWhenEveryPartHas() throws {
    let (one, two) = (StuckTier(), StuckTier())
    let tier = StripedTests.striped([("a", one, 1), ("b", two, 1)])
    let sheets = (0..<20 as Range<UInt64>).map { Sheet($0) }
    _ = try tier.submit(TierBatch(.read, sheets.map(\.forReading)))
    let counts = [one, two].map { $0.batches.first?.pages.count ?? 0 }
    #expect(counts.reduce(0, +) == 20 && counts.allSatisfy { $0 > 3 })
    one.end { .done($0.facts) }
    #expect(tier.eventWords.count { $0.hasSuffix("done") } == counts[0])
    #expect(tier.usage.inFlightCount == counts[1])
    two.end { _ in .missing }
    let words = tier.eventWords
    #expect(words.count { $0.hasSuffix("missing") } == counts[1] && words.last == "released")
  }

  @Test func aTierThatDoesNotRecoverIsLeftOut() throws {
    let good = MemoryTier(capacity: .mebibytes(1))
    let tier = StripedTests.striped([("a", DeadTier(), 1), ("b", good, 1)])
    _ = try tier.recover(until: .never)
    let sheets = (0..<20 as Range<UInt64>).map { Sheet($0) }
    let written = try tier.outcomes(.write, sheets.map(\.forWriting)).map(\.kind)
    #expect(written.count { $0 == .done } > 3 && written.count { $0 == .throttled } > 3)
    #expect(try tier.outcomes(.read, sheets.map(\.forReading)).count { $0.kind == .done } == good.usage.pageCount)
    try tier.drain(until: .never)
    #expect(throws: RoostError.self) { try tier.forget(sheets[0].name.identity) }
    #expect(good.usage.pageCount < 20)
    let alone = StripedTests.striped([("a", DeadTier(), 1)])
    #expect(throws: RoostError.self) { try alone.recover(until: .never) }
  }
}

/// A drive that does not come up: like any tier before recovery.
private final class DeadTier: Tier {
  private let inner = MemoryTier(capacity: .mebibytes(1))
  let name = "dead"
  private static var error: RoostError { RoostError(.system, "the drive is gone") }

  func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket { try inner.submit(batch) }
  func poll(_ max: Int, into events: inout [TierEvent]) { inner.poll(max, into: &events) }
  func wait(until deadline: Deadline) -> Bool { inner.wait(until: deadline) }
  var usage: TierUsage { inner.usage }
  func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport { throw DeadTier.error }
  func forget(_ identity: IdentityDigest) throws(RoostError) -> Int { try inner.forget(identity) }
  func drain(until deadline: Deadline) throws(RoostError) { throw DeadTier.error }
  func close(until deadline: Deadline) {}
}
