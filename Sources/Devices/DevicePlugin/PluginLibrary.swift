import CRoostVendors
import Glibc
import RoostDevice
import RoostPrimitives

/// A plug-in: a shared library that exports the table of `roost_device.h`. Never unloaded.
public final class PluginLibrary: @unchecked Sendable {
  /// The path that it was opened by.
  public let path: String
  /// The scheme of its devices.
  public let scheme: String
  /// Who makes them.
  public let vendor: String
  // Constant; lives as long as the process, the library promises.
  let table: UnsafePointer<roost_device_table>

  /// Opens a library and looks at its table.
  ///
  /// - Throws: what is wrong with it, naming it: it cannot be opened, exports no table, one of another version, or one
  ///   that lacks a function.
  public init(path: String) throws(RoostError) {
    self.path = path
    guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
      let reason = dlerror().map { String(cString: $0) } ?? "no reason given"
      throw RoostError(.notFound, "the plug-in \(path) cannot be opened: \(reason)")
    }
    typealias Entry = @convention(c) (UInt32) -> UnsafePointer<roost_device_table>?
    guard let symbol = dlsym(handle, "roost_device_plugin") else {
      throw RoostError(.invalidInput, "\(path) is no plug-in: it exports no roost_device_plugin")
    }
    // The header's signature; a library that exports another function under this name cannot be told from one that does not.
    let version = UInt32(ROOST_DEVICE_VERSION)
    guard let table = unsafeBitCast(symbol, to: Entry.self)(version) else {
      throw RoostError(.unsupported, "the plug-in \(path) has no table for version \(version) of roost_device.h")
    }
    guard table.pointee.version == version, Int(table.pointee.size) == MemoryLayout<roost_device_table>.size else {
      throw RoostError(
        .unsupported, "the plug-in \(path) was made for another version of roost_device.h",
        context: [("its version", "\(table.pointee.version)"), ("this version", "\(version)")])
    }
    let required = roost_device_table_missing(table)
    if let required { throw RoostError(.invalidInput, "the plug-in \(path) lacks '\(String(cString: required))'") }
    let scheme = table.pointee.scheme.map { String(cString: $0) } ?? ""
    guard !scheme.isEmpty, scheme.allSatisfy({ $0.isASCII && ($0.isLowercase || $0.isNumber) }) else {
      throw RoostError(
        .invalidInput, "the plug-in \(path) names its devices '\(scheme)'; use lower-case letters and digits")
    }
    self.table = table
    self.scheme = scheme
    vendor = table.pointee.vendor.map { String(cString: $0) } ?? scheme
  }

  /// The kind of device that a library brings. A library that is broken is a kind too, named after its file, whose every
  /// use says what is wrong: nothing is skipped silently.
  public static func kind(path: String) -> DeviceKind {
    do throws(RoostError) {
      let library = try PluginLibrary(path: path)
      return DeviceKind(
        library.scheme, vendor: library.vendor, count: { () throws(RoostError) in try library.count() },
        open: { (index) throws(RoostError) in DrivenDevice(try PluginDriver(library, index: index)) })
    } catch {
      Log.write(.warning, "\(error)")
      let failure = error
      return DeviceKind(
        "plugin-" + (path.split(separator: "/").last.map(String.init) ?? path), vendor: "plug-in",
        count: { () throws(RoostError) in throw failure }, open: { (_) throws(RoostError) in throw failure })
    }
  }

  private func count() throws(RoostError) -> Int {
    var count: CInt = 0
    try check("count", table.pointee.count(&count))
    guard count > 0 else { throw RoostError(.notFound, "the plug-in \(path) sees no device") }
    return Int(count)
  }

  func describe(_ told: roost_device_description, index: Int) -> DeviceDescription {
    var told = told
    func text(_ field: UnsafeRawBufferPointer) -> String { String(decoding: field.prefix { $0 != 0 }, as: UTF8.self) }
    let name = withUnsafeBytes(of: &told.name) { text(UnsafeRawBufferPointer($0)) }
    let driver = withUnsafeBytes(of: &told.driver) { text(UnsafeRawBufferPointer($0)) }
    let bus = withUnsafeBytes(of: &told.bus) { text(UnsafeRawBufferPointer($0)) }
    var capabilities: Capabilities = [.asynchronousCopy, .batchedCopy]
    if told.is_host_addressable != 0 { capabilities.insert(.hostAddressable) }
    if told.has_priorities != 0 { capabilities.insert(.streamPriority) }
    if table.pointee.register_host != nil, table.pointee.unregister_host != nil {
      capabilities.insert(.hostRegistration)
    }
    if table.pointee.copy_rows != nil { capabilities.insert(.stridedCopy) }
    if table.pointee.call != nil { capabilities.insert(.hostCallbacks) }
    if table.pointee.event_seconds != nil { capabilities.insert(.eventTiming) }
    var description = DeviceDescription(
      uri: "\(scheme):\(index)", name: name, vendor: vendor, memoryBytes: Int(clamping: told.memory_bytes),
      dataTypes: DataType.allCases, copyEngineCount: max(0, Int(told.copy_engine_count)),
      numaNode: told.numa_node < 0 ? nil : Int(told.numa_node), capabilities: capabilities,
      efficientRunBytes: Int(clamping: told.efficient_run_bytes))
    description.driverVersion = driver.isEmpty ? nil : driver
    description.busAddress = bus.isEmpty ? nil : bus
    description.isTestedOnHardware = false
    return description
  }

  /// Throws if a function of the table failed.
  func check(_ function: String, _ status: CInt) throws(RoostError) {
    guard status != 0 else { return }
    let code: RoostError.Code =
      switch Int(status) {
      case ROOST_DEVICE_INVALID: .invalidInput
      case ROOST_DEVICE_OUT_OF_MEMORY: .outOfResources
      case ROOST_DEVICE_NOT_FOUND: .notFound
      case ROOST_DEVICE_BUSY: .busy
      case ROOST_DEVICE_LOST: .lost
      default: .system
      }
    let reason = table.pointee.last_error().map { String(cString: $0) } ?? "no reason given"
    throw RoostError(
      code, "\(scheme): \(function) failed: \(reason)", context: [("plug-in", path), ("status", "\(status)")])
  }
}
