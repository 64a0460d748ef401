import DevicePlugin
import Foundation
import RoostBuiltins
import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

/// The example plug-in through the whole suite, those that ROOST_DEVICE_PLUGINS lists, and plug-ins that are broken.
@Suite struct DevicePluginConformance {
  @Test(arguments: plugins) func aPluginKeepsTheContract(path: String) {
    let subject = DeviceSubject(path) { () throws(RoostError) in try PluginLibrary.kind(path: path).open(0) }
    askAll(subject)
    #expect(tally(subject).passed > DeviceSuite.checks.count / 2)
  }

  private static let plugins =
    [built("libExampleDevice.so")]
    + (ProcessInfo.processInfo.environment["ROOST_DEVICE_PLUGINS"] ?? "").split(separator: ":").map(String.init)

  @Test func aBrokenPluginIsReportedAndNeverSkipped() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "roost-plugin-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let text = folder.appending(path: "text.so")
    try Data("not a library".utf8).write(to: text)
    let cases = [
      ("/nowhere/lib.so", "cannot be opened"), (text.path, "cannot be opened"),
      (Self.built("libSimulatedDrivers.so"), "exports no roost_device_plugin"),
    ]
    for (path, complaint) in cases {
      let kind = PluginLibrary.kind(path: path)
      let error = #expect(throws: RoostError.self) { try kind.open(0) }
      #expect(error?.description.contains(complaint) == true && error?.description.contains(path) == true)
      #expect(throws: RoostError.self) { try kind.count() }
      let registry = DeviceRegistry()
      registry.register(kind)
      #expect(registry.survey().map(\.uri) == [kind.scheme])
      #expect(registry.survey().allSatisfy { $0.reason.contains(complaint) })
    }
  }

  private static func built(_ file: String) -> String {
    URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().appending(path: file).path
  }
}

/// Which device is opened when one is named, and when none is.
@Suite struct DeviceSelectionTests {
  @Test func anUnknownNameListsWhatIsThereAndWhyTheRestIsNot() throws {
    let error = #expect(throws: RoostError.self) { try registry().open("quantum:0") }
    let text = try #require(error?.description)
    for part in ["'quantum'", "available: host:0", "broken (no such library)"] {
      #expect(text.contains(part), "\(text) does not say \(part)")
    }
    #expect(!text.contains("hidden"))
  }

  @Test func aNameIsTakenAtItsWord() throws {
    #expect(try registry().select("host:0").description.uri.hasPrefix("mock"))
    let error = #expect(throws: RoostError.self) { try registry().select("broken") }
    #expect(error?.message == "no such library")
  }

  @Test func withoutANameTheLastRegisteredAcceleratorThatOpensIsTakenThenTheHost() throws {
    let registry = registry()
    #expect(try registry.select(nil).description.uri == "mock:0")
    registry.register(Self.kind("first", seed: 1))
    registry.register(Self.kind("second", seed: 2))
    #expect(try registry.open("auto").description.uri == "mock:2")
    registry.register(Self.broken("second"))
    #expect(try registry.select("auto").description.uri == "mock:1")
  }

  @Test func everyBuiltInVendorHasAnEntryWithAReasonIfItIsMissing() {
    let findings = Builtins.devices().survey()
    for scheme in ["cpu", "cuda", "musa", "hip", "ascend", "kunlun"] {
      let own = findings.filter { $0.uri.split(separator: ":")[0] == scheme }
      #expect(!own.isEmpty, "no entry for \(scheme)")
      for finding in own {
        if case .failure = finding.result { #expect(!finding.reason.isEmpty) } else { #expect(finding.reason.isEmpty) }
      }
    }
  }

  @Test func thereIsOneProcessor() throws {
    #expect(try Builtins.devices().open("cpu").description.uri == "cpu:0")
    let error = #expect(throws: RoostError.self) { try Builtins.devices().open("cpu:7") }
    #expect(error?.code == .notFound && error?.message.contains("cpu:7") == true, "\(error as Any)")
  }

  private func registry() -> DeviceRegistry {
    let registry = DeviceRegistry()
    registry.register(Self.kind("host", seed: 0, isAccelerator: false))
    registry.register(Self.broken("broken"))
    registry.register(Self.kind("hidden", seed: 9, isListed: false))
    return registry
  }

  private static func kind(
    _ scheme: String, seed: UInt64, isAccelerator: Bool = true, isListed: Bool = true
  ) -> DeviceKind {
    DeviceKind(scheme, vendor: "test", isAccelerator: isAccelerator, isListed: isListed) { (_) throws(RoostError) in
      try Builtins.devices().open("mock:\(seed)")
    }
  }

  private static func broken(_ scheme: String) -> DeviceKind {
    let failure = RoostError(.notFound, "no such library")
    return DeviceKind(
      scheme, vendor: "test", count: { () throws(RoostError) in throw failure },
      open: { (_) throws(RoostError) in throw failure })
  }
}
