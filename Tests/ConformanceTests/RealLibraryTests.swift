import Foundation
import RoostBuiltins
import RoostDevice
import RoostPrimitives
import Testing

/// Vendors' own libraries, where they are installed: their functions are found under the names that Roost uses, and on a
/// machine without their device they say so.
@Suite struct RealLibraryTests {
  @Test(.enabled(if: isInstalled("libcuda.so.1"), "libcuda.so.1 is not installed"))
  func nvidiasDriverIsUnderstood() { expectUnderstood("cuda") }

  @Test(.enabled(if: isInstalled("libamdhip64.so.5"), "libamdhip64.so.5 is not installed"))
  func amdsRuntimeIsUnderstood() { expectUnderstood("hip") }

  private func expectUnderstood(_ scheme: String) {
    let findings = Builtins.devices().survey().filter { $0.uri.hasPrefix(scheme) }
    #expect(!findings.isEmpty)
    for finding in findings {
      guard case .failure(let error) = finding.result else { continue }
      #expect(error.code == .notFound && finding.reason.contains("no device"), "\(finding.reason)")
    }
  }

  private static func isInstalled(_ library: String) -> Bool { dlopen(library, RTLD_LAZY | RTLD_LOCAL) != nil }
}
