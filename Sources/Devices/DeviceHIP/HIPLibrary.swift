import CRoostVendors
import RoostDevice
import RoostPrimitives

/// AMD's runtime library that was found, with its functions.
typealias HIPLibrary = RuntimeLibrary<roost_hip>

extension HIPLibrary {
  /// Newest first; the last is Hygon's, made of HIP 5.2.
  private static let names = [
    "libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5", "libamdhip64.so", "libgalaxyhip.so.5",
  ]

  /// Opens the library and initialises it.
  ///
  /// - Throws: `notFound` without a library or a device, `unsupported`, naming it, if a function is missing.
  static func open(_ path: String?) throws(RoostError) -> HIPLibrary {
    var vendor = RuntimeVendor<roost_hip>(
      "AMD", prefix: "hip", libraries: names, load: { roost_symbols_load($0, "hip", roost_hip_symbols(), $1) },
      code: Self.code)
    vendor.advice = [100: "the driver sees no device", 101: "the driver sees no device"]
    let library = try HIPLibrary(vendor, path: path, empty: roost_hip())
    try library.check(library.table.pointee.`init`(0), "Init")
    return library
  }

  /// Numbers of hip_runtime_api.h.
  @Sendable private static func code(_ result: CInt) -> RoostError.Code {
    switch result {
    case 1, 400: .invalidInput
    case 2: .outOfResources
    case 3, 35, 100, 101: .notFound
    case 700, 702, 709, 710, 719, 999: .lost
    case 712: .busy
    case 713: .stale
    case 801: .unsupported
    default: .system
    }
  }

  func deviceCount() throws(RoostError) -> Int {
    var count: CInt = 0
    try check(table.pointee.device_count(&count), "GetDeviceCount")
    return Int(count)
  }

  /// Calls a function with a device chosen.
  @inline(__always)
  func call(
    _ device: CInt, _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_hip>) -> CInt
  ) throws(RoostError) {
    var choice = roost_choice()
    let entered = roost_enter(table.pointee.device_current, table.pointee.device_choose, device, &choice)
    if entered != 0 { throw error(entered, choice.has_asked ? "SetDevice" : "GetDevice") }
    let result = body(table)
    let left = roost_leave(table.pointee.device_choose, choice)
    if result != 0 { throw error(result, function()) }
    if left != 0 { throw error(left, "SetDevice") }
  }

  /// Which of the two forms `roost_hip_call` takes.
  var callName: String { table.pointee.launch_host != nil ? "LaunchHostFunc" : "StreamAddCallback" }

  func priorities(of device: CInt) throws(RoostError) -> (normal: CInt, high: CInt) {
    guard table.pointee.priority_range != nil else { return (0, 0) }
    var least: CInt = 0
    var greatest: CInt = 0
    try call(device, "DeviceGetStreamPriorityRange") { $0.pointee.priority_range(&least, &greatest) }
    return (least, greatest)
  }

  func describe(_ device: CInt, hasPriorities: Bool) throws(RoostError) -> DeviceDescription {
    var memoryBytes = 0
    try check(table.pointee.device_memory(&memoryBytes, device), "DeviceTotalMem")
    var version: CInt = 0
    try check(table.pointee.runtime_version(&version), "RuntimeGetVersion")
    // hipDeviceAttributeAsyncEngineCount, the same number in 5.2 and 6.3.
    var engines: CInt = 0
    try check(table.pointee.device_attribute(&engines, 2, device), "DeviceGetAttribute")
    let name = try text("DeviceGetName") { table.pointee.device_name($0, $1, device) }
    let bus = try text("DeviceGetPCIBusId") { table.pointee.device_bus($0, $1, device) }
    var capabilities: Capabilities = [.asynchronousCopy]
    if table.pointee.copy_rows != nil { capabilities.insert(.stridedCopy) }
    if table.pointee.register_host != nil, table.pointee.unregister_host != nil {
      capabilities.insert(.hostRegistration)
    }
    if table.pointee.event_elapsed != nil { capabilities.insert(.eventTiming) }
    if table.pointee.launch_host != nil || table.pointee.add_callback != nil { capabilities.insert(.hostCallbacks) }
    if hasPriorities { capabilities.insert(.streamPriority) }
    if table.pointee.ipc_export != nil, table.pointee.ipc_import != nil, table.pointee.ipc_close != nil {
      capabilities.insert(.interProcessMemory)
    }
    var description = DeviceDescription(
      uri: "hip:\(device)", name: name, vendor: "AMD", memoryBytes: memoryBytes, dataTypes: DataType.allCases,
      copyEngineCount: Int(engines), numaNode: numaNode(ofBus: bus), capabilities: capabilities,
      efficientRunBytes: Limits.efficientRunBytes)
    // 5.2.21153 is written 50221153.
    description.driverVersion = "\(version / 10_000_000).\(version % 10_000_000 / 100_000)"
    description.busAddress = bus
    description.isTestedOnHardware = false
    return description
  }
}
