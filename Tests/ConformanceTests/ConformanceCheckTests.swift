import RoostConformance
import RoostPrimitives
import Testing

/// The suite's own machinery: what each kind of exception means.
@Suite struct ConformanceCheckTests {
  final class Trial: ConformanceTrial {
    let findings = Findings()
    var isEnded = false
    func end() { isEnded = true }
  }

  static let good = ConformanceCheck<Trial>("is good") { _ in }
  static let bad = ConformanceCheck<Trial>("is bad") { $0.findings.expect(false, "is wrong") }

  func verdict(_ check: ConformanceCheck<Trial>, _ exceptions: [ConformanceException] = []) -> ConformanceVerdict {
    check.verdict(excepting: exceptions) { Trial() }
  }

  @Test func aComplaintFailsTheCheckAndSaysWhere() {
    #expect(verdict(Self.good) == .passed)
    guard case .failed(let complaints) = verdict(Self.bad) else { Issue.record("a complaint was lost"); return }
    #expect(complaints.count == 1 && complaints[0].contains("is wrong") && complaints[0].contains("line"))
  }

  @Test func anErrorFailsTheCheckAndTheTrialStillEnds() {
    let throwing = ConformanceCheck<Trial>("throws") { _ throws(RoostError) in throw RoostError(.lost, "gone") }
    let trial = Trial()
    guard case .failed(let complaints) = throwing.verdict(on: { trial }) else { Issue.record("passed"); return }
    #expect(complaints[0].contains("gone"))
    #expect(trial.isEnded)
  }

  @Test func anExpectedFailureIsNoFailureAndNoPass() {
    let exception = ConformanceException("is bad", .expectedFailure("not built yet"))
    #expect(verdict(Self.bad, [exception]) == .expectedFailure("not built yet"))
  }

  @Test func anExpectedFailureThatPassesFails() {
    let exception = ConformanceException("is good", .expectedFailure("was broken"))
    guard case .failed(let complaints) = verdict(Self.good, [exception]) else { Issue.record("passed"); return }
    #expect(complaints[0].contains("was broken"))
  }

  @Test func whatIsUnsupportedIsNotAsked() {
    let exception = ConformanceException("is bad", .unsupported("has no such thing"))
    #expect(verdict(Self.bad, [exception]) == .unsupported("has no such thing"))
    let obstructed = ConformanceCheck<Trial>("cannot", obstacle: { _ in "lacks it" }) { $0.findings.add("asked") }
    #expect(verdict(obstructed) == .unsupported("lacks it"))
  }

  @Test func onlyAMissingThingIsUnsupportedNotABrokenOne() {
    let missing = Self.good.verdict { () throws(RoostError) in throw RoostError(.unsupported, "no such processor") }
    #expect(missing == .unsupported("no such processor"))
    let broken = Self.good.verdict { () throws(RoostError) in throw RoostError(.system, "driver crashed") }
    guard case .failed = broken else { Issue.record("\(broken)"); return }
  }

  @Test func expectingAnErrorNoticesNoneAndAnotherOne() {
    let findings = Findings()
    findings.expectError(.stale, "freeing") { () throws(RoostError) in throw RoostError(.stale, "") }
    #expect(findings.complaints.isEmpty)
    findings.expectError(.stale, "freeing") {}
    findings.expectError(.stale, "freeing") { () throws(RoostError) in throw RoostError(.busy, "") }
    #expect(findings.complaints.count == 2)
  }

  @Test func everySentenceStandsForOneCheck() {
    let names = DeviceSuite.checks.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(names.count >= 40)
  }
}
