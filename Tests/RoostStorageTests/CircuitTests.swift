import RoostPrimitives
import Testing

@testable import RoostStorage

@Suite struct CircuitTests {
  private static let failure = RoostError(.lost, "the server is gone")

  @Test func theCircuitOpensAfterFailuresInARowOnly() {
    var state = CircuitState.initial
    for _ in 0..<3 {
      for _ in 1..<Limits.circuitFailureCountMax { state.failed(at: 0) }
      #expect(state == .closed(failureCount: Limits.circuitFailureCountMax - 1))
      state.succeeded()
    }
    for _ in 0..<Limits.circuitFailureCountMax { state.failed(at: 100) }
    #expect(state == .open(until: 500_000_100, pause: 500_000_000))
  }

  @Test func oneProbePassesAfterThePauseAndEachFailureDoublesIt() {
    var state = CircuitState.open(until: 10, pause: 500_000_000)
    let answers = [9, 10, 11].map { state.admits(at: $0) }
    #expect(answers == [false, true, false])
    state.failed(at: 20)
    #expect(state == .open(until: 1_000_000_020, pause: 1_000_000_000))
    for _ in 0..<20 {
      guard case .open(let until, _) = state else { break }
      let isAdmitted = state.admits(at: until)
      #expect(isAdmitted)
      state.failed(at: until)
    }
    guard case .open(_, let pause) = state else {
      Issue.record("it is not open")
      return
    }
    #expect(pause == UInt64(Limits.circuitPauseSecondsMax * 1e9))
  }

  @Test func latecomersDoNotCloseAnOpenCircuit() {
    var state = CircuitState.open(until: 10, pause: 5)
    state.succeeded()
    state.failed(at: 3)
    #expect(state == .open(until: 10, pause: 5))
  }

  @Test func anOpenCircuitThrottlesWithoutAskingAndClosesWhenTheProbeComesOutWell() throws {
    let clock = HandClock()
    let stuck = StuckTier()
    let tier = CircuitBreaking(stuck, clock: clock)
    let pages = (0..<5).map { TierPage(Sheet(UInt64($0)).name) }
    _ = try tier.submit(TierBatch(.contains, pages))
    stuck.end { _ in .failed(CircuitTests.failure) }
    #expect(tier.eventWords == (0..<5).map { "\($0) failed" } + ["released"])
    _ = try tier.submit(TierBatch(.contains, [pages[0]]))
    #expect(stuck.batches.isEmpty)
    #expect(tier.eventWords == ["0 throttled", "released"])
    clock.advance(seconds: 0.6)
    _ = try tier.submit(TierBatch(.contains, [pages[0]]))
    #expect(stuck.batches.count == 1)
    // Only one probe at a time.
    _ = try tier.submit(TierBatch(.contains, [pages[1]]))
    #expect(stuck.batches.count == 1)
    stuck.end { _ in .missing }
    #expect(tier.eventWords.sorted() == ["0 missing", "0 throttled", "released", "released"])
    #expect(tier.circuit == .initial)
  }

  @Test func aProbeThatSaysNothingIsFollowedByAnother() throws {
    let clock = HandClock()
    let stuck = StuckTier()
    let tier = CircuitBreaking(stuck, clock: clock)
    let pages = (0..<5).map { TierPage(Sheet(UInt64($0)).name) }
    _ = try tier.submit(TierBatch(.contains, pages))
    stuck.end { _ in .failed(CircuitTests.failure) }
    _ = tier.eventWords
    clock.advance(seconds: 1)
    for _ in 0..<3 {
      _ = try tier.submit(TierBatch(.contains, [pages[0]]))
      #expect(stuck.batches.count == 1)
      stuck.end { _ in .throttled }
      #expect(tier.eventWords == ["0 throttled", "released"])
    }
  }

  @Test func badInputIsNotTheTiersFault() throws {
    let stuck = StuckTier()
    let tier = CircuitBreaking(stuck, clock: HandClock())
    _ = try tier.submit(TierBatch(.write, (0..<9).map { TierPage(Sheet(UInt64($0)).name) }))
    stuck.end { _ in .failed(.unequalLength) }
    _ = tier.eventWords
    #expect(tier.circuit == .initial)
  }
}
