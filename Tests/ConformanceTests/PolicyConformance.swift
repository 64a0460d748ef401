import RoostBlocks
import RoostBuiltins
import RoostConformance
import RoostPrimitives
import Testing

/// Every built-in eviction policy.
@Suite struct PolicyConformance {
  @Test(arguments: Builtins.policies().names)
  func keepsTheContract(name: String) throws {
    let factory = try Builtins.policies().factory(named: name)
    let subject = EvictionSubject(factory, model: PolicyConformance.models[name])
    for check in EvictionSuite.checks {
      switch EvictionSuite.verdict(on: check, of: subject) {
      case .passed: break
      case .unsupported(let reason), .expectedFailure(let reason): Issue.record("\(check): \(reason)")
      case .failed(let complaints): Issue.record("\(name): \(check): \(complaints.prefix(3))")
      }
    }
  }

  private static let models: [String: EvictionSubject.Model] = [
    "lru": { NaiveQueue(slots: $0, movesHits: true) }, "fifo": { NaiveQueue(slots: $0, movesHits: false) },
    "arc": { NaiveAdaptiveReplacement(slots: $0) }, "s3fifo": { NaiveSmallMainGhost(slots: $0) },
    "hazard": { ReferenceHazardIndex(slots: $0) },
  ]

  @Test func aPolicyThatForgetsItsResidentsIsCaught() {
    let subject = EvictionSubject(
      PolicyFactory(name: "forgetful", recordsPerSlot: 1) { _ throws(RoostError) in ForgetfulPolicy() })
    let verdicts = EvictionSuite.checks.map { EvictionSuite.verdict(on: $0, of: subject) }
    #expect(verdicts.contains { if case .failed = $0 { true } else { false } })
  }
}

/// Never names a victim.
private final class ForgetfulPolicy: EvictionPolicy {
  let keepsGhosts = false
  let reservedBytes = 0
  func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int { event.admissionMax }
  func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) {}
  func released(_ records: [RecordNumber]) {}
  func removed(_ records: [RecordNumber]) {}
  func adopted(_ records: [RecordNumber]) {}
  func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {}
  func reset() {}
  func checkInvariants(_ states: BlockStates) -> [String] { [] }
}
