import DeviceCUDA
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

  @Test(.enabled(if: isInstalled("libnccl.so.2"), "libnccl.so.2 is not installed"))
  func nvidiasCollectivesHaveTheFunctionsThatAreUsed() throws {
    // A device of ours, simulated, and their library: members of a group are refused, because there is none.
    let library = try SimulatedLibrary()
    var configuration = CUDADeviceConfiguration(library: library.path, calibrates: false)
    configuration.collectiveLibrary = "libnccl.so.2"
    let device = DrivenDevice(try CUDADriver(configuration))
    #expect(device.driver.refusals.isEmpty && device.description.capabilities.contains(.collectives))
    let error = #expect(throws: RoostError.self) {
      try device.makeCollective(rank: 0, rankCount: 1, rendezvous: "real \(UUID())")
    }
    #expect(error?.message.contains("ncclCommInitRank") == true, "\(error as Any)")
  }

  @Test(.enabled(if: isInstalled("libcufile.so.0"), "libcufile.so.0 is not installed"))
  func nvidiasDirectStorageIsRefusedOrGivenUpWithoutADevice() throws {
    let library = try SimulatedLibrary()
    var configuration = CUDADeviceConfiguration(library: library.path, calibrates: false)
    configuration.directStorageLibrary = "libcufile.so.0"
    configuration.sideSeconds = 2
    let device = DrivenDevice(try CUDADriver(configuration))
    let refusal = try #require(device.driver.refusals.first)
    #expect(refusal.description.contains("cuFileDriverOpen"), "\(refusal)")
    #expect(!device.description.capabilities.contains(.directStorage))
  }

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
