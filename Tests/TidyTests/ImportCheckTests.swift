import Foundation
import Testing

@Suite struct ImportCheckTests {
  private let check = ImportCheck()

  @Test func anArrowThatTheMapLacksIsReported() {
    #expect(check.lines("import Glibc\nimport RoostBlocks", in: "Sources/RoostTransfer/A.swift") == [2])
    #expect(check.lines("@testable import RoostDevice", in: "Sources/RoostBlocks/Eviction/A.swift") == [1])
    #expect(check.lines("import struct RoostPool.Pool", in: "Sources/Devices/DeviceCPU/A.swift") == [1])
  }

  @Test(arguments: ["Foundation", "FoundationEssentials", "Dispatch", "_Concurrency"])
  func systemModulesThatHangAfterForkOrWeighMuchAreReported(name: String) {
    #expect(check.lines("import \(name)", in: "Sources/roost/A.swift") == [1])
  }

  @Test func whatTheMapAllowsPasses() {
    let text =
      "import Glibc\nimport RoostLayout\nimport Synchronization\n// import RoostBlocks\nlet a = \"import RoostBlocks\""
    #expect(check.lines(text, in: "Sources/RoostTransfer/A.swift") == [])
    #expect(check.lines("import RoostDevice", in: "Sources/Devices/DeviceCPU/A.swift") == [])
  }

  @Test func testsImportOurModulesAndFoundation() {
    #expect(check.lines("import Foundation\nimport RoostPool\nimport Testing", in: "Tests/ATests/A.swift") == [])
    #expect(check.lines("import XCTest", in: "Tests/ATests/A.swift") == [1])
  }

  @Test func aModuleWithoutARowIsReported() {
    let repository = Repository(files: [SourceFile(path: "Sources/RoostNovelty/A.swift", text: "import Glibc")])
    let findings = check.findings(in: repository)
    #expect(findings.contains { $0.path == "Sources/RoostNovelty" })
    #expect(findings.contains { $0.message.hasPrefix("RoostPool has a row") })
  }

  @Test func aManifestThatDeclaresMoreThanTheMapIsReported() {
    let good = #"module("RoostBlocks", ["RoostPrimitives"]), func module(_ name: String) {}"#
    let bad = #"module("DeviceCPU", at: "Devices/DeviceCPU", ["RoostPrimitives", "RoostBlocks"]),"#
    let file = SourceFile(path: "Package.swift", text: good + "\n" + bad)
    #expect(ImportCheck.findings(inManifest: file).map(\.line) == [2])
  }

  @Test func theMapKeepsTheThreeRules() {
    #expect(!ModuleMap.reach(of: "RoostTransfer").contains("RoostBlocks"))
    #expect(ModuleMap.rows["RoostBlocks"] == ["RoostPrimitives"])
    let knowBoth = ModuleMap.rows.keys.filter {
      ModuleMap.reach(of: $0).isSuperset(of: ["RoostBlocks", "RoostTransfer"])
    }
    #expect(knowBoth.allSatisfy { $0 == "RoostEngine" || ModuleMap.reach(of: $0).contains("RoostEngine") })
  }

  @Test func theMapHasNoCircle() {
    for module in ModuleMap.rows.keys { #expect(!ModuleMap.reach(of: module).contains(module), "\(module)") }
  }
}
