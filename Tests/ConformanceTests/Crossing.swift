import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

extension DeviceSubject: CustomTestStringConvertible {
  /// The configuration.
  public var testDescription: String { name }
}

/// Asks a subject every check and reports what is wrong with the answers. What is unsupported passes: `tally` has the
/// reasons.
func askAll(_ subject: DeviceSubject) {
  for check in DeviceSuite.checks {
    guard case .failed(let complaints) = DeviceSuite.verdict(on: check, of: subject) else { continue }
    for complaint in complaints { Issue.record("\(subject): \(check): \(complaint)") }
  }
}

/// The checks that fail on a subject.
func failures(of subject: DeviceSubject) -> [String] {
  DeviceSuite.checks.filter { check in
    if case .failed = DeviceSuite.verdict(on: check, of: subject) { return true }
    return false
  }.map(\.name)
}

/// How many checks a subject passes, and the reasons of those that it need not.
func tally(_ subject: DeviceSubject) -> (passed: Int, unsupported: [String: String]) {
  var passed = 0
  var unsupported: [String: String] = [:]
  for check in DeviceSuite.checks {
    switch DeviceSuite.verdict(on: check, of: subject) {
    case .passed: passed += 1
    case .unsupported(let reason): unsupported[check.name] = reason
    case .expectedFailure, .failed: break
    }
  }
  return (passed, unsupported)
}

/// Capabilities that hide one by one, and all together.
func masks(of capabilities: Capabilities) -> [(hidden: Capabilities, name: String)] {
  let single = Capabilities.names.filter { capabilities.contains($0.capability) }
  return single.map { ($0.capability, "without \($0.name)") } + [(capabilities, "without anything")]
}
