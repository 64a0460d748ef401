import RoostPrimitives
import RoostStorage

extension TierSuite {
  /// The sheets of numbers 0 to 19: four of each of five identities.
  private static func sheets() -> (gone: [TierSheet], kept: [TierSheet], identity: IdentityDigest) {
    let sheets = (0..<20 as Range<UInt64>).map { TierSheet($0, byteCount: $0 % 2 == 0 ? 8192 : 9000) }
    let identity = sheets[3].name.identity
    return (
      sheets.filter { $0.name.identity == identity }, sheets.filter { $0.name.identity != identity }, identity
    )
  }

  static func forgets(_ trial: TierTrial) throws(RoostError) {
    let (gone, kept, identity) = sheets()
    trial.findings.expectError(.invalidInput, "forgetting before recovery") { () throws(RoostError) in
      _ = try trial.tier.forget(identity)
    }
    _ = try trial.recover()
    let (written, others) = (try trial.write(gone), try trial.write(kept))
    let count = try trial.tier.forget(identity)
    trial.findings.expect(
      count == written.count || !trial.subject.tolerated.isEmpty, "\(count) pages went, not \(written.count)")
    for verb in [TierVerb.contains, .read] {
      for outcome in try trial.look(verb, gone) {
        trial.expect(outcome, .missing, "\(verb.rawValue) of a forgotten page")
        trial.findings.expect(outcome.kind != .done, "a forgotten page is there")
      }
    }
    try trial.expectReadable(others)
    try settle(trial)
    try trial.expectReadable(trial.write(gone))
    trial.findings.expect(
      try trial.tier.forget(IdentityDigest(words: (99, 99, 99, 99))) == 0, "pages of an unknown identity went")
    trial.tier.close(until: trial.patience)
    trial.findings.expectError(.lost, "forgetting after close") { () throws(RoostError) in
      _ = try trial.tier.forget(identity)
    }
  }

  static func staysForgotten(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let (gone, kept, identity) = sheets()
    let others = try trial.write(kept)
    _ = try trial.write(gone)
    _ = try trial.tier.forget(identity)
    guard try settle(trial) else { return }
    _ = try trial.restart()
    for outcome in try trial.look(.read, gone) {
      trial.expect(outcome, .missing, "reading a forgotten page")
    }
    try trial.expectReadable(others)
  }

  /// Drains; false if a tier that may fail did.
  @discardableResult private static func settle(_ trial: TierTrial) throws(RoostError) -> Bool {
    do throws(RoostError) {
      try trial.tier.drain(until: trial.patience)
      return true
    } catch {
      guard trial.subject.tolerated.contains(.failed) else { throw error }
      return false
    }
  }
}
