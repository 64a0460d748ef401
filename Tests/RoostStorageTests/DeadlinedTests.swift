import RoostPrimitives
import RoostStorage
import Testing

@Suite struct DeadlinedTests {
  @Test func aLatePageFailsAtItsDeadlineAndItsMemoryStaysTakenUntilTheTierLetsGo() throws {
    let clock = HandClock()
    let stuck = StuckTier()
    let tier = Deadlined(stuck, seconds: { $0 == .read ? 1 : 5 }, clock: clock)
    let sheets = [Sheet(1), Sheet(2)]
    _ = try tier.submit(TierBatch(.read, sheets.map(\.forReading)))
    #expect(tier.eventWords.isEmpty)
    clock.advance(seconds: 0.9)
    #expect(tier.eventWords.isEmpty)
    clock.advance(seconds: 0.2)
    #expect(tier.eventWords == ["0 failed", "1 failed"])
    #expect(tier.usage.inFlightCount == 0)
    clock.advance(seconds: 100)
    #expect(tier.eventWords.isEmpty)
    stuck.end { _ in .missing }
    #expect(tier.eventWords == ["released"])
    #expect(tier.usage.counters.endedCount == 2)
  }

  @Test func anAnswerInTimePasses() throws {
    let clock = HandClock()
    let stuck = StuckTier()
    let tier = Deadlined(stuck, seconds: { _ in 1 }, clock: clock)
    let first = try tier.submit(TierBatch(.contains, [TierPage(Sheet(1).name)]))
    clock.advance(seconds: 0.5)
    let second = try tier.submit(TierBatch(.contains, [TierPage(Sheet(2).name)]))
    #expect(first != second)
    stuck.end { _ in .missing }
    #expect(tier.eventWords == ["0 missing", "released"])
    clock.advance(seconds: 0.6)
    // The second batch has its own second.
    #expect(tier.eventWords.isEmpty)
    clock.advance(seconds: 0.5)
    #expect(tier.eventWords == ["0 failed"])
  }
}
