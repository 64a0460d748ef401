import RoostBlocks
import RoostPrimitives

/// What a check of an eviction policy works with: how to make caches that the policy rules.
public final class EvictionTrial: ConformanceTrial {
  /// What is wrong.
  public let findings = Findings()
  let subject: EvictionSubject

  init(_ subject: EvictionSubject) { self.subject = subject }

  /// Nothing to give back.
  public func end() {}

  func cache(slots: Int) throws(RoostError) -> EvictionCache { try EvictionCache(subject.policy, slots: slots) }
}
