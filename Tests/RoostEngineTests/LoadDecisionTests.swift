import Testing

@testable import RoostEngine

@Suite struct LoadDecisionTests {
  private static func question(bytes: Int, queued: Int = 0, speed: Double?, prefill: Double?) -> LoadDecision.Question {
    LoadDecision.Question(
      byteCount: bytes, queuedByteCount: queued, bytesPerSecond: speed, tokenCount: 1000,
      prefillTokensPerSecond: prefill)
  }

  @Test func theFasterWayIsTakenAndLoadingWhereNothingIsKnown() {
    // 1,000 tokens at 10,000 a second are 100 ms; 100 MB at 1 GB/s are as much.
    #expect(LoadDecision.choose(LoadDecisionTests.question(bytes: 100_000_000, speed: 1e9, prefill: 1e4)) == .load)
    #expect(LoadDecision.choose(LoadDecisionTests.question(bytes: 100_000_001, speed: 1e9, prefill: 1e4)) == .recompute)
    #expect(LoadDecision.choose(LoadDecisionTests.question(bytes: 1 << 60, speed: nil, prefill: 1e4)) == .load)
    #expect(LoadDecision.choose(LoadDecisionTests.question(bytes: 1 << 60, speed: 1e9, prefill: nil)) == .load)
  }

  @Test func whatWaitsBeforeCountsToo() {
    #expect(
      LoadDecision.choose(LoadDecisionTests.question(bytes: 50_000_000, queued: 60_000_000, speed: 1e9, prefill: 1e4))
        == .recompute)
  }

  @Test func overlappingBatchesAddUpToTheBandwidthOfAll() {
    var speed = TierSpeed()
    // Four batches begin together and end 10 ms apart: 1 MB in 10 ms each.
    for number in 1...40 { speed.note(byteCount: 1_000_000, from: 0, to: UInt64(number) * 10_000_000) }
    let measured = speed.bytesPerSecond(at: 400_000_000) ?? 0
    #expect(abs(measured - 1e8) < 1e6, "\(measured)")
  }

  @Test func anOldMeasurementIsNotBelieved() {
    var speed = TierSpeed()
    speed.note(byteCount: 1_000_000, from: 0, to: 1_000_000)
    #expect(speed.bytesPerSecond(at: 2_000_000) != nil)
    #expect(speed.bytesPerSecond(at: 1_000_001 + Limits.speedMemoryNanoseconds) == nil)
  }
}
