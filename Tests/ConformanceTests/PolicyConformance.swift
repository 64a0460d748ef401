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
      case .unsupported: #expect(PolicyConformance.models[name] == nil, "\(check)")
      case .expectedFailure(let reason): Issue.record("\(check): \(reason)")
      case .failed(let complaints): Issue.record("\(name): \(check): \(complaints.prefix(3))")
      }
    }
  }

  private static let models: [String: EvictionSubject.Model] = [
    "lru": { NaiveQueue(slots: $0, movesHits: true) }, "fifo": { NaiveQueue(slots: $0, movesHits: false) },
  ]

  @Test func aPolicyThatForgetsItsResidentsIsCaught() {
    let subject = EvictionSubject(
      PolicyFactory(name: "forgetful", recordsPerSlot: 1) { _ throws(RoostError) in ForgetfulPolicy() })
    let verdicts = EvictionSuite.checks.map { EvictionSuite.verdict(on: $0, of: subject) }
    #expect(verdicts.contains { if case .failed = $0 { true } else { false } })
  }
}

/// LRU or FIFO in an array, oldest first.
private struct NaiveQueue: EvictionModel {
  let slots: Int
  let movesHits: Bool
  private var order: [Key] = []

  init(slots: Int, movesHits: Bool) {
    self.slots = slots
    self.movesHits = movesHits
  }

  var residents: Set<Key> { Set(order) }

  mutating func store(_ keys: [Key]) {
    let newcomers = keys.filter { !order.contains($0) }
    let others = order.count(where: { !keys.contains($0) })
    let admitted = newcomers.prefix(slots - order.count + others)
    while order.count + admitted.count > slots, let victim = order.firstIndex(where: { !keys.contains($0) }) {
      order.remove(at: victim)
    }
    if movesHits {
      let hits = keys.filter { order.contains($0) }
      order.removeAll { hits.contains($0) }
      order += keys.filter { hits.contains($0) || admitted.contains($0) }.reversed()
    } else {
      order += admitted.reversed()
    }
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
