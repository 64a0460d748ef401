import CRoostVendors
import RoostDevice
import RoostPrimitives

/// Baidu's runtime library that was found, with its functions.
typealias KunlunLibrary = RuntimeLibrary<roost_xpu>

extension KunlunLibrary {
  /// Opens the library, by its own name only: two copies in one process break it.
  ///
  /// - Throws: `notFound` without a library, `unsupported`, naming it, if a function is missing.
  static func open(_ path: String?) throws(RoostError) -> KunlunLibrary {
    var vendor = RuntimeVendor<roost_xpu>(
      "Baidu", prefix: "xpu_", libraries: ["libxpurt.so.2", "libxpurt.so.1", "libxpurt.so"],
      load: { roost_symbols_load($0, "xpu_", roost_xpu_symbols(), $1) }, code: Self.code)
    let advice = "the driver sees no device; look at xpu-smi and at XPU_VISIBLE_DEVICES"
    vendor.advice = [703: advice, -703: advice]
    return try KunlunLibrary(vendor, path: path, empty: roost_xpu())
  }

  /// Numbers of xpu/defs.h, which may come back negative.
  @Sendable private static func code(_ result: CInt) -> RoostError.Code {
    switch result.magnitude {
    case 701, 707: .invalidInput
    case 702, 703: .notFound
    case 705, 706: .outOfResources
    case 712: .unsupported
    case 714, 718, 801, 802, 808, 809, 812: .lost
    case 816: .busy
    default: .system
    }
  }

  func deviceCount() throws(RoostError) -> Int {
    var count: CInt = 0
    try check(table.pointee.device_count(&count), "device_count")
    return Int(count)
  }

  /// Calls a function with a device chosen.
  @inline(__always)
  func call(
    _ device: CInt, _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_xpu>) -> CInt
  ) throws(RoostError) {
    var choice = roost_choice()
    let entered = roost_enter(table.pointee.device_current, table.pointee.device_choose, device, &choice)
    if entered != 0 { throw error(entered, choice.has_asked ? "set_device" : "current_device") }
    let result = body(table)
    let left = roost_leave(table.pointee.device_choose, choice)
    if result != 0 { throw error(result, function()) }
    if left != 0 { throw error(left, "set_device") }
  }

  /// Numbers of xpu/defs.h's XPUDeviceAttr.
  private enum Attribute: CInt {
    case busAddress = 0
    case model = 4
    case memoryBytes = 5
    case copyEngineCount = 9
  }

  private func attribute(_ attribute: Attribute, of device: CInt) throws(RoostError) -> UInt64 {
    var value: UInt64 = 0
    try check(table.pointee.device_attribute(&value, attribute.rawValue, device), "device_get_attr")
    return value
  }

  func describe(_ device: CInt) throws(RoostError) -> DeviceDescription {
    let bus = Self.busAddress(try attribute(.busAddress, of: device))
    var capabilities: Capabilities = [.asynchronousCopy]
    if table.pointee.register_host != nil, table.pointee.unregister_host != nil {
      capabilities.insert(.hostRegistration)
    }
    if table.pointee.ipc_export != nil, table.pointee.ipc_import != nil, table.pointee.ipc_close != nil {
      capabilities.insert(.interProcessMemory)
    }
    var description = DeviceDescription(
      uri: "kunlun:\(device)", name: "Kunlun model \(try attribute(.model, of: device))", vendor: vendor.name,
      memoryBytes: Int(clamping: try attribute(.memoryBytes, of: device)), dataTypes: DataType.allCases,
      copyEngineCount: Int(clamping: try attribute(.copyEngineCount, of: device)), numaNode: numaNode(ofBus: bus),
      capabilities: capabilities, efficientRunBytes: Limits.efficientRunBytes)
    if table.pointee.version != nil {
      var version: (major: UInt32, minor: UInt32) = (0, 0)
      try check(table.pointee.version(&version.major, &version.minor), "get_runtime_version")
      description.driverVersion = "\(version.major).\(version.minor)"
    }
    description.busAddress = bus
    description.isTestedOnHardware = false
    return description
  }

  /// A domain in bits 16 to 31, a bus in 8 to 15, a slot in 3 to 7, a function in 0 to 2.
  static func busAddress(_ packed: UInt64) -> String {
    func hexadecimal(_ value: UInt64, _ digits: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    return hexadecimal(packed >> 16 & 0xFFFF, 4) + ":" + hexadecimal(packed >> 8 & 0xFF, 2) + ":"
      + hexadecimal(packed >> 3 & 0x1F, 2) + "." + hexadecimal(packed & 7, 1)
  }
}
