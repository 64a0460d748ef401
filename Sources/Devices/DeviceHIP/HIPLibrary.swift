import CRoostVendors
import RoostDevice
import RoostPrimitives

/// AMD's runtime library that was found, with its functions.
final class HIPLibrary: @unchecked Sendable {
  // The functions; written in the initialiser only.
  let table: UnsafePointer<roost_hip>
  private let storage: UnsafeMutablePointer<roost_hip>
  private let path: String

  /// Newest first; the last is Hygon's, made of HIP 5.2.
  private static let names = [
    "libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5", "libamdhip64.so", "libgalaxyhip.so.5",
  ]

  /// Opens the library and initialises it.
  ///
  /// - Throws: `notFound` without a library or a device, `unsupported`, naming it, if a function is missing.
  init(path wanted: String?) throws(RoostError) {
    let library = try DriverLibrary(firstOf: wanted.map { [$0] } ?? Self.names, vendor: "AMD")
    path = library.path
    storage = .allocate(capacity: 1)
    storage.initialize(to: roost_hip())
    table = UnsafePointer(storage)
    if let missing = roost_symbols_load(library.handle, "hip", roost_hip_symbols(), storage) {
      throw RoostError(
        .unsupported,
        "\(library.path) lacks the function hip\(String(cString: missing)): it is too old, or not a driver")
    }
    try check(table.pointee.`init`(0), "Init")
  }

  deinit {
    storage.deinitialize(count: 1)
    storage.deallocate()
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
    var former: CInt = -1
    let entered = roost_hip_enter(table, device, &former)
    if entered != 0 { throw error(entered, "GetDevice or hipSetDevice") }
    let result = body(table)
    let left = roost_hip_leave(table, former)
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
      copyEngineCount: Int(engines), numaNode: nil, capabilities: capabilities,
      efficientRunBytes: Limits.efficientRunBytes)
    // 5.2.21153 is written 50221153.
    description.driverVersion = "\(version / 10_000_000).\(version % 10_000_000 / 100_000)"
    description.busAddress = bus
    description.isTestedOnHardware = false
    return description
  }

  private func text(
    _ function: String, _ fill: (UnsafeMutablePointer<CChar>?, CInt) -> CInt
  ) throws(RoostError) -> String {
    var bytes = [CChar](repeating: 0, count: 256)
    let result = bytes.withUnsafeMutableBufferPointer { fill($0.baseAddress, CInt($0.count)) }
    try check(result, function)
    return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private func check(_ result: CInt, _ function: String) throws(RoostError) {
    if result != 0 { throw error(result, function) }
  }

  /// What a result says, with the function's name. Numbers of hip_runtime_api.h.
  private func error(_ result: CInt, _ function: String) -> RoostError {
    let code: RoostError.Code =
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
    let meaning = result == 100 || result == 101 ? ": the driver sees no device" : ""
    return RoostError(
      code, "hip\(function) failed with \(result)\(meaning)", context: [("library", path), ("result", "\(result)")])
  }
}
