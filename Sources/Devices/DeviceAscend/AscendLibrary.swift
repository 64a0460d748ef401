import CRoostVendors
import RoostDevice
import RoostPrimitives

/// Huawei's runtime library that was found, with its functions.
typealias AscendLibrary = RuntimeLibrary<roost_acl>

extension AscendLibrary {
  /// Opens the library and initialises it.
  ///
  /// - Throws: `notFound` without a library or a device, `unsupported`, naming it, if a function is missing.
  static func open(_ path: String?) throws(RoostError) -> AscendLibrary {
    var vendor = RuntimeVendor<roost_acl>(
      "Huawei", prefix: "acl", libraries: ["libascendcl.so"],
      load: { roost_symbols_load($0, "acl", roost_acl_symbols(), $1) }, code: Self.code)
    // Words of the calling thread's last error. What is not about this result is about the one before it.
    vendor.text = { table, result in
      guard table.pointee.recent_error != nil, let text = table.pointee.recent_error() else { return nil }
      let words = String(cString: text).split(separator: "\n").first.map(String.init) ?? ""
      return words.isEmpty ? nil : "error \(result), \(words)"
    }
    vendor.advice = [
      207004: "the driver sees no device; look at npu-smi and at ASCEND_RT_VISIBLE_DEVICES",
      507033: "the device cannot be set up; another process may own it, or this user may not open it",
    ]
    let library = try AscendLibrary(vendor, path: path, empty: roost_acl())
    try library.check(roost_acl_init(library.table), "Init")
    return library
  }

  /// Numbers of acl_base_rt.h and rt_error_codes.h.
  @Sendable private static func code(_ result: CInt) -> RoostError.Code {
    switch result {
    case 100000, 107000, 107003, 107017: .invalidInput
    case 200000, 207001, 207005, 207018: .outOfResources
    case 100001, 107001, 207004, 507033: .notFound
    case 507010, 507053...507056: .lost
    case 200001, 207000: .unsupported
    default: .system
    }
  }

  func deviceCount() throws(RoostError) -> Int {
    var count: UInt32 = 0
    try check(table.pointee.device_count(&count), "rtGetDeviceCount")
    return Int(count)
  }

  /// The context of a device, which is held until `device_reset`.
  func retain(_ device: CInt) throws(RoostError) -> UInt {
    var context: UnsafeMutableRawPointer?
    var function: UnsafePointer<CChar>?
    let result = roost_acl_open(table, device, &context, &function)
    try check(result, function.map { String(cString: $0) } ?? "rtSetDevice")
    return UInt(bitPattern: context)
  }

  /// Calls a function in a context.
  @inline(__always)
  func call(
    _ context: UInt, _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_acl>) -> CInt
  ) throws(RoostError) {
    var former: UnsafeMutableRawPointer?
    var hasAsked: CInt = 0
    let entered = roost_acl_enter(table, pointer(context), &former, &hasAsked)
    if entered != 0 { throw error(entered, hasAsked != 0 ? "rtSetCurrentContext" : "rtGetCurrentContext") }
    let result = body(table)
    let left = roost_acl_leave(table, former)
    if result != 0 { throw error(result, function()) }
    if left != 0 { throw error(left, "rtSetCurrentContext") }
  }

  /// The ranks of streams; the same if the device has only one.
  func priorities(in context: UInt) throws(RoostError) -> (normal: CInt, high: CInt) {
    guard table.pointee.priority_range != nil else { return (0, 0) }
    var least: CInt = 0
    var greatest: CInt = 0
    try call(context, "rtDeviceGetStreamPriorityRange") { $0.pointee.priority_range(&least, &greatest) }
    return (least, greatest)
  }

  /// Device memory that is free, and all of it.
  func memory(in context: UInt) throws(RoostError) -> (free: Int, total: Int) {
    /// ACL_HBM_MEM.
    let highBandwidth: CInt = 1
    var free = 0
    var total = 0
    try call(context, "rtGetMemInfo") { $0.pointee.memory_info(highBandwidth, &free, &total) }
    return (free, total)
  }

  func describe(_ device: CInt, in context: UInt, hasPriorities: Bool) throws(RoostError) -> DeviceDescription {
    let product = table.pointee.product != nil ? table.pointee.product().map { String(cString: $0) } : nil
    let capabilities = self.capabilities(hasPriorities: hasPriorities)
    var description = DeviceDescription(
      uri: "ascend:\(device)", name: product ?? "Ascend", vendor: vendor.name,
      memoryBytes: try memory(in: context).total, dataTypes: DataType.allCases, copyEngineCount: 0, numaNode: nil,
      capabilities: capabilities,
      efficientRunBytes: capabilities.contains(.batchedCopy) ? 0 : Limits.efficientRunBytes)
    if table.pointee.version != nil {
      var version: (major: CInt, minor: CInt, patch: CInt) = (0, 0, 0)
      try check(table.pointee.version(&version.major, &version.minor, &version.patch), "rtGetVersion")
      description.driverVersion = "\(version.major).\(version.minor).\(version.patch)"
    }
    description.isTestedOnHardware = false
    return description
  }

  private func capabilities(hasPriorities: Bool) -> Capabilities {
    var capabilities: Capabilities = [.asynchronousCopy]
    if table.pointee.copy_batch != nil { capabilities.insert(.batchedCopy) }
    if table.pointee.copy_rows != nil { capabilities.insert(.stridedCopy) }
    if table.pointee.register_host != nil || table.pointee.register_host_2 != nil, table.pointee.unregister_host != nil
    {
      capabilities.insert(.hostRegistration)
    }
    if table.pointee.event_elapsed != nil { capabilities.insert(.eventTiming) }
    if table.pointee.launch_host != nil { capabilities.insert(.hostCallbacks) }
    if hasPriorities { capabilities.insert(.streamPriority) }
    if table.pointee.ipc_export != nil, table.pointee.ipc_import != nil, table.pointee.ipc_close != nil {
      capabilities.insert(.interProcessMemory)
    }
    return capabilities
  }
}
