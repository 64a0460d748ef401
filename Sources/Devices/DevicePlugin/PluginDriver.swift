import CRoostVendors
import Glibc
import RoostDevice
import RoostPrimitives

/// A device from a shared library: the functions of `roost_device.h` as a driver.
public final class PluginDriver: DeviceDriver {
  /// What the library says of the device.
  public let description: DeviceDescription
  private let library: PluginLibrary
  private let device: UInt

  /// Opens a device of the library.
  public init(_ library: PluginLibrary, index: Int) throws(RoostError) {
    self.library = library
    var device: UnsafeMutableRawPointer?
    try library.check("open", library.table.pointee.open(CInt(clamping: index), &device))
    self.device = UInt(bitPattern: device)
    var told = roost_device_description()
    let status = library.table.pointee.describe(device, &told)
    if status != 0 {
      _ = library.table.pointee.close(device)
      try library.check("describe", status)
    }
    description = library.describe(told, index: index)
  }

  private var table: UnsafePointer<roost_device_table> { library.table }
  private var own: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: device) }

  private func pointer(_ handle: DriverHandle) -> UnsafeMutableRawPointer? {
    UnsafeMutableRawPointer(bitPattern: handle)
  }

  /// See `DeviceDriver`.
  public func close() throws(RoostError) { try library.check("close", table.pointee.close(own)) }

  /// See `DeviceDriver`.
  public func freeMemoryBytes() throws(RoostError) -> Int {
    var bytes: UInt64 = 0
    try library.check("free_bytes", table.pointee.free_bytes(own, &bytes))
    return Int(clamping: bytes)
  }

  /// See `DeviceDriver`.
  public func allocate(byteCount: Int) throws(RoostError) -> UInt {
    var address: UInt = 0
    try library.check("allocate", table.pointee.allocate(own, byteCount, &address))
    return address
  }

  /// See `DeviceDriver`.
  public func free(_ address: UInt) throws(RoostError) {
    try library.check("release", table.pointee.release(own, address))
  }

  /// See `DeviceDriver`.
  public func allocateHost(byteCount: Int) throws(RoostError) -> UInt {
    var address: UInt = 0
    try library.check("allocate_host", table.pointee.allocate_host(own, byteCount, &address))
    return address
  }

  /// See `DeviceDriver`.
  public func freeHost(_ address: UInt) throws(RoostError) {
    try library.check("release_host", table.pointee.release_host(own, address))
  }

  /// See `DeviceDriver`.
  public func register(_ memory: HostMemory) throws(RoostError) {
    try library.check("register_host", table.pointee.register_host(own, memory.address, memory.byteCount))
  }

  /// See `DeviceDriver`.
  public func unregister(_ memory: HostMemory) throws(RoostError) {
    try library.check("unregister_host", table.pointee.unregister_host(own, memory.address, memory.byteCount))
  }

  /// See `DeviceDriver`.
  public func makeStream(priority: StreamPriority) throws(RoostError) -> DriverHandle {
    var stream: UnsafeMutableRawPointer?
    try library.check("stream_create", table.pointee.stream_create(own, priority == .high ? 1 : 0, &stream))
    return UInt(bitPattern: stream)
  }

  /// See `DeviceDriver`.
  public func destroyStream(_ stream: DriverHandle) throws(RoostError) {
    try library.check("stream_destroy", table.pointee.stream_destroy(own, pointer(stream)))
  }

  /// See `DeviceDriver`.
  public func isIdle(_ stream: DriverHandle) throws(RoostError) -> Bool {
    var isIdle: CInt = 0
    try library.check("stream_is_idle", table.pointee.stream_is_idle(own, pointer(stream), &isIdle))
    return isIdle != 0
  }

  /// See `DeviceDriver`.
  public func copy(
    _ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection, on stream: DriverHandle
  ) throws(RoostError) {
    // The C structure has the same three words (CopyPiece's documentation promises them).
    let raw = UnsafeRawPointer(pieces.baseAddress)?.assumingMemoryBound(to: roost_device_piece.self)
    try library.check(
      "copy", table.pointee.copy(own, raw, pieces.count, CInt(direction.rawValue), pointer(stream)))
  }

  /// See `DeviceDriver`.
  public func copy(_ rows: StridedCopy, _ direction: CopyDirection, on stream: DriverHandle) throws(RoostError) {
    var told = roost_device_rows(
      source: rows.source, target: rows.target, row_bytes: UInt(rows.rowByteCount), row_count: UInt(rows.rowCount),
      source_pitch: UInt(rows.sourcePitch), target_pitch: UInt(rows.targetPitch))
    try library.check(
      "copy_rows", table.pointee.copy_rows(own, &told, CInt(direction.rawValue), pointer(stream)))
  }

  /// See `DeviceDriver`.
  public func call(
    _ function: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer,
    on stream: DriverHandle
  ) throws(RoostError) {
    try library.check("call", table.pointee.call(own, function, context, pointer(stream)))
  }

  /// See `DeviceDriver`.
  public func makeEvent() throws(RoostError) -> DriverHandle {
    var event: UnsafeMutableRawPointer?
    try library.check("event_create", table.pointee.event_create(own, &event))
    return UInt(bitPattern: event)
  }

  /// See `DeviceDriver`.
  public func destroyEvent(_ event: DriverHandle) throws(RoostError) {
    try library.check("event_destroy", table.pointee.event_destroy(own, pointer(event)))
  }

  /// See `DeviceDriver`.
  public func record(_ event: DriverHandle, on stream: DriverHandle) throws(RoostError) {
    try library.check("event_record", table.pointee.event_record(own, pointer(event), pointer(stream)))
  }

  /// See `DeviceDriver`.
  public func wait(for event: DriverHandle, on stream: DriverHandle) throws(RoostError) {
    try library.check("event_wait", table.pointee.event_wait(own, pointer(event), pointer(stream)))
  }

  /// See `DeviceDriver`.
  public func isComplete(_ event: DriverHandle) throws(RoostError) -> Bool {
    var isComplete: CInt = 0
    try library.check("event_is_complete", table.pointee.event_is_complete(own, pointer(event), &isComplete))
    return isComplete != 0
  }

  /// See `DeviceDriver`.
  public func seconds(from start: DriverHandle, to end: DriverHandle) throws(RoostError) -> Double {
    var seconds = 0.0
    try library.check(
      "event_seconds", table.pointee.event_seconds(own, pointer(start), pointer(end), &seconds))
    return seconds
  }
}
