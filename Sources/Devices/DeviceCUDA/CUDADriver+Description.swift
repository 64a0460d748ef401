import CRoostVendors
import RoostDevice
import RoostPrimitives

/// What a device is, asked attribute by attribute.
extension CUDADriver {
  /// Numbers of cuda.h's CUdevice_attribute.
  private enum Attribute: CInt {
    case asyncEngineCount = 40
    case capabilityMajor = 75
    case capabilityMinor = 76
    case hostPointerForRegistered = 91
    case hostNumaNode = 134
  }

  static func describe(
    _ library: CUDALibrary, _ configuration: CUDADeviceConfiguration, _ device: CInt, hasPriorities: Bool
  ) throws(RoostError) -> DeviceDescription {
    let table = library.table.pointee
    var memoryBytes = 0
    try library.check(table.device_memory(&memoryBytes, device), "DeviceTotalMem_v2")
    var version: CInt = 0
    try library.check(table.driver_version(&version), "DriverGetVersion")
    let name = try library.text("DeviceGetName") { table.device_name($0, $1, device) }
    let bus = try library.text("DeviceGetPCIBusId") { table.device_bus($0, $1, device) }
    let capabilities = self.capabilities(of: table, hasPriorities: hasPriorities)
    let isFast = capabilities.contains(.batchedCopy) || configuration.vendor.readsPTX
    var description = DeviceDescription(
      uri: "\(configuration.vendor.scheme):\(configuration.index)", name: name, vendor: configuration.vendor.name,
      memoryBytes: memoryBytes, dataTypes: DataType.allCases,
      copyEngineCount: Int(try attribute(.asyncEngineCount, library, device) ?? 0),
      numaNode: try attribute(.hostNumaNode, library, device, isOptional: true).flatMap { $0 < 0 ? nil : Int($0) }
        ?? numaNode(ofBus: bus), capabilities: capabilities, efficientRunBytes: isFast ? 0 : Limits.efficientRunBytes)
    description.driverVersion = "\(version / 1000).\(version % 1000 / 10)"
    description.busAddress = bus
    description.isTestedOnHardware = false
    return description
  }

  private static func capabilities(of table: roost_cuda, hasPriorities: Bool) -> Capabilities {
    var capabilities: Capabilities = [.asynchronousCopy]
    if table.copy_batch_8 != nil || table.copy_batch_9 != nil { capabilities.insert(.batchedCopy) }
    if table.copy_rows != nil { capabilities.insert(.stridedCopy) }
    if table.register_host != nil, table.unregister_host != nil { capabilities.insert(.hostRegistration) }
    if table.event_elapsed != nil { capabilities.insert(.eventTiming) }
    if table.launch_host != nil { capabilities.insert(.hostCallbacks) }
    if hasPriorities { capabilities.insert(.streamPriority) }
    if table.ipc_export != nil, table.ipc_import != nil, table.ipc_close != nil {
      capabilities.insert(.interProcessMemory)
    }
    return capabilities
  }

  /// Ten times the compute capability: 90 for 9.0.
  func computeCapability() throws(RoostError) -> Int {
    let major = try Self.attribute(.capabilityMajor, library, ordinal) ?? 0
    let minor = try Self.attribute(.capabilityMinor, library, ordinal) ?? 0
    return Int(major) * 10 + Int(minor)
  }

  /// Whether kernels reach registered host memory by the host's own addresses.
  func reachesHostAddresses() throws(RoostError) -> Bool {
    try Self.attribute(.hostPointerForRegistered, library, ordinal) ?? 0 != 0
  }

  /// An attribute; nil if it is optional and this driver does not know it.
  private static func attribute(
    _ attribute: Attribute, _ library: CUDALibrary, _ device: CInt, isOptional: Bool = false
  ) throws(RoostError) -> CInt? {
    var value: CInt = 0
    let result = library.table.pointee.device_attribute(&value, attribute.rawValue, device)
    if result != 0, isOptional { return nil }
    try library.check(result, "DeviceGetAttribute")
    return value
  }
}
