import CRoostABI
import RoostBuiltins
import RoostConsole
import RoostDevice
import RoostPrimitives

/// What devices say of themselves, as JSON, and what callers say of devices.
enum DeviceText {
  static func json(_ about: DeviceDescription) -> JSONValue {
    .object([
      "uri": .string(about.uri), "name": .string(about.name), "vendor": .string(about.vendor),
      "memory_bytes": .count(about.memoryBytes), "data_types": .array(about.dataTypes.map { .string($0.rawValue) }),
      "copy_engines": .count(about.copyEngineCount), "numa_node": about.numaNode.map { .count($0) } ?? .null,
      "capabilities": .array(
        Capabilities.names.filter { about.capabilities.contains($0.capability) }.map { .string($0.name) }),
      "efficient_run_bytes": .count(about.efficientRunBytes),
      "driver_version": about.driverVersion.map { .string($0) } ?? .null,
      "bus_address": about.busAddress.map { .string($0) } ?? .null,
      "tested_on_hardware": .bool(about.isTestedOnHardware),
    ])
  }

  static func capabilities(_ names: JSONValue) throws(RoostError) -> Capabilities {
    guard let list = names.elements else {
      throw RoostError(.invalidInput, "capabilities must be a list of names, not \(names.excerpt)")
    }
    var found: Capabilities = []
    for element in list {
      guard let known = Capabilities.names.first(where: { $0.name == element.text }) else {
        let meant = element.text.flatMap { nearest(to: $0, among: Capabilities.names.map(\.name)) }
        throw RoostError(
          .invalidInput,
          "there is no capability \(element.excerpt)" + (meant.map { "; did you mean '\($0)'?" } ?? ""))
      }
      found.insert(known.capability)
    }
    return found
  }

  /// A mock as a JSON object describes it.
  static func mock(_ text: roost_text) throws(RoostError) -> any Device {
    var object = try ObjectReader(try LayoutReader.json(text, "config"), "the mock")
    var wish = MockWish(seed: UInt64(try object.count("seed") ?? 0))
    if let bytes = try object.count("memory_bytes") { wish.memoryBytes = bytes }
    if let names = object.take("capabilities") { wish.capabilities = try capabilities(names) }
    if let bytes = try object.count("efficient_run_bytes") { wish.efficientRunBytes = bytes }
    try object.finish()
    guard wish.memoryBytes <= Limits.mockBytesMax else {
      throw RoostError(.invalidInput, "a mock has at most \(ByteCount(Limits.mockBytesMax)) of memory")
    }
    return try Builtins.mock(wish)
  }
}

/// See roost.h.
@c @implementation public func roost_device_survey(
  _ outText: UnsafeMutablePointer<CChar>?, _ textBytes: Int, _ outBytes: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let findings = Builtins.devices().survey().map { finding in
      JSONValue.object([
        "uri": .string(finding.uri), "vendor": .string(finding.vendor), "reason": .string(finding.reason),
      ])
    }
    try Arguments.answer(JSONValue.array(findings).serialized, outText, textBytes, outBytes)
  }
}

/// See roost.h.
@c @implementation public func roost_device_describe(
  _ handle: roost_device, _ outText: UnsafeMutablePointer<CChar>?, _ textBytes: Int,
  _ outBytes: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let description = try HandleTable.shared.device(handle).device.description
    try Arguments.answer(DeviceText.json(description).serialized, outText, textBytes, outBytes)
  }
}

/// See roost.h.
@c @implementation public func roost_device_require(
  _ handle: roost_device, _ capabilities: roost_text
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let device = try HandleTable.shared.device(handle).device
    try device.require(try DeviceText.capabilities(try LayoutReader.json(capabilities, "capabilities")))
  }
}
