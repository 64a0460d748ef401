import Testing

/// The rules applied to this repository. The other suites show that each rule can fail.
@Suite struct RepositoryTests {
  @Test(arguments: allChecks.map(\.rule))
  func theRepository(keepsTheRule rule: String) throws {
    let check = try #require(allChecks.first { $0.rule == rule })
    let findings = check.findings(in: .here) + Repository.here.files.flatMap(check.findings(in:))
    for finding in findings { Issue.record("\(finding)") }
  }

  @Test func theWholeTreeIsRead() {
    let paths = Set(Repository.here.files.map(\.path))
    #expect(paths.isSuperset(of: ["Package.swift", "Makefile", "Sources/roost/Roost.swift", ".ci/run"]))
    #expect(!paths.contains { $0.hasPrefix(".build/") || $0.hasPrefix(".git/") })
  }
}

extension Check {
  /// The lines of a made-up file that the check reports, in order.
  func lines(_ text: String, in path: String = "Sources/RoostPool/Example.swift") -> [Int] {
    findings(in: SourceFile(path: path, text: text)).map(\.line)
  }
}
