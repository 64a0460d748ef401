import CRoostVendors
import RoostDevice
import RoostPrimitives

/// AMD's HIP runtime as raw calls. Never run on hardware: tested on a simulated driver.
///
/// Every call makes the device the calling thread's own and puts back what was there, because the threads are somebody
/// else's.
public final class HIPDriver: DeviceDriver {
  /// What the device is; constant.
  public let description: DeviceDescription
  private let library: HIPLibrary
  private let ordinal: CInt
  private let priorities: (normal: CInt, high: CInt)

  /// Opens a device.
  ///
  /// - Throws: why it cannot be used, naming the library, the function or the device that is missing.
  public init(index: Int, library path: String? = nil) throws(RoostError) {
    let library = try HIPLibrary(path: path)
    let count = try library.deviceCount()
    guard index < count else {
      throw RoostError(.notFound, "there is no device hip:\(index); the driver shows \(count)")
    }
    self.library = library
    ordinal = CInt(index)
    let range = try library.priorities(of: CInt(index))
    priorities = range
    description = try library.describe(CInt(index), hasPriorities: range.normal != range.high)
  }

  /// How many devices the driver shows; at least one.
  ///
  /// - Throws: why there is none.
  public static func deviceCount(library path: String? = nil) throws(RoostError) -> Int {
    let count = try HIPLibrary(path: path).deviceCount()
    guard count > 0 else { throw RoostError(.notFound, "the driver of AMD shows no device") }
    return count
  }

  /// Nothing is held.
  public func close() throws(RoostError) {}

  @inline(__always)
  private func call(
    _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_hip>) -> CInt
  ) throws(RoostError) {
    try library.call(ordinal, function(), body)
  }

  private func pointer(_ handle: UInt) -> UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: handle) }

  // MARK: - Memory

  /// hipHostMallocPortable and Mapped, hipHostRegisterPortable and Mapped.
  private static let hostFlags: UInt32 = 3

  /// See `DeviceDriver`.
  public func freeMemoryBytes() throws(RoostError) -> Int {
    var free = 0
    var total = 0
    try call("MemGetInfo") { $0.pointee.memory_info(&free, &total) }
    return free
  }

  /// See `DeviceDriver`.
  public func allocate(byteCount: Int) throws(RoostError) -> UInt {
    var address: UnsafeMutableRawPointer?
    try call("Malloc") { $0.pointee.allocate(&address, byteCount) }
    return UInt(bitPattern: address)
  }

  /// Frees; the driver first waits for the whole device.
  public func free(_ address: UInt) throws(RoostError) {
    try call("Free") { $0.pointee.free(pointer(address)) }
  }

  /// See `DeviceDriver`.
  public func allocateHost(byteCount: Int) throws(RoostError) -> UInt {
    var address: UnsafeMutableRawPointer?
    try call("HostMalloc") { $0.pointee.allocate_host(&address, byteCount, Self.hostFlags) }
    return UInt(bitPattern: address)
  }

  /// See `DeviceDriver`.
  public func freeHost(_ address: UInt) throws(RoostError) {
    try call("HostFree") { $0.pointee.free_host(pointer(address)) }
  }

  /// See `DeviceDriver`.
  public func register(_ memory: HostMemory) throws(RoostError) {
    try call("HostRegister") {
      $0.pointee.register_host(pointer(memory.address), memory.byteCount, Self.hostFlags)
    }
  }

  /// See `DeviceDriver`.
  public func unregister(_ memory: HostMemory) throws(RoostError) {
    try call("HostUnregister") { $0.pointee.unregister_host(pointer(memory.address)) }
  }

  // MARK: - Streams, copies, events

  /// hipStreamNonBlocking.
  private static let nonBlocking: UInt32 = 1
  /// hipErrorNotReady.
  private static let notReady: CInt = 600

  /// See `DeviceDriver`.
  public func makeStream(priority: StreamPriority) throws(RoostError) -> DriverHandle {
    var stream: UnsafeMutableRawPointer?
    let rank = priority == .high ? priorities.high : priorities.normal
    try call("StreamCreateWithPriority") { $0.pointee.stream_create(&stream, Self.nonBlocking, rank) }
    return UInt(bitPattern: stream)
  }

  /// See `DeviceDriver`.
  public func destroyStream(_ stream: DriverHandle) throws(RoostError) {
    try call("StreamDestroy") { $0.pointee.stream_destroy(pointer(stream)) }
  }

  /// See `DeviceDriver`.
  public func isIdle(_ stream: DriverHandle) throws(RoostError) -> Bool {
    try isReady("StreamQuery") { $0.pointee.stream_query(pointer(stream)) }
  }

  /// hipMemcpyKind.
  private static func kind(_ direction: CopyDirection) -> CInt {
    switch direction {
    case .hostToDevice: 1
    case .deviceToHost: 2
    case .deviceToDevice: 3
    }
  }

  /// One call a piece: the runtime's own batch call is a loop.
  public func copy(
    _ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection, on stream: DriverHandle
  ) throws(RoostError) {
    try call("MemcpyAsync") {
      roost_hip_copy_pieces($0, pieces.baseAddress, pieces.count, Self.kind(direction), pointer(stream))
    }
  }

  /// See `DeviceDriver`.
  public func copy(_ rows: StridedCopy, _ direction: CopyDirection, on stream: DriverHandle) throws(RoostError) {
    try call("Memcpy2DAsync") {
      $0.pointee.copy_rows(
        pointer(rows.target), rows.targetPitch, pointer(rows.source), rows.sourcePitch, rows.rowByteCount,
        rows.rowCount, Self.kind(direction), pointer(stream))
    }
  }

  /// See `DeviceDriver`.
  public func call(
    _ function: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer,
    on stream: DriverHandle
  ) throws(RoostError) {
    try call(library.callName) { roost_hip_call($0, function, context, pointer(stream)) }
  }

  /// Makes an event that measures time.
  public func makeEvent() throws(RoostError) -> DriverHandle {
    var event: UnsafeMutableRawPointer?
    try call("EventCreateWithFlags") { $0.pointee.event_create(&event, 0) }
    return UInt(bitPattern: event)
  }

  /// See `DeviceDriver`.
  public func destroyEvent(_ event: DriverHandle) throws(RoostError) {
    try call("EventDestroy") { $0.pointee.event_destroy(pointer(event)) }
  }

  /// See `DeviceDriver`.
  public func record(_ event: DriverHandle, on stream: DriverHandle) throws(RoostError) {
    try call("EventRecord") { $0.pointee.event_record(pointer(event), pointer(stream)) }
  }

  /// See `DeviceDriver`.
  public func wait(for event: DriverHandle, on stream: DriverHandle) throws(RoostError) {
    try call("StreamWaitEvent") { $0.pointee.stream_wait(pointer(stream), pointer(event), 0) }
  }

  /// See `DeviceDriver`.
  public func isComplete(_ event: DriverHandle) throws(RoostError) -> Bool {
    try isReady("EventQuery") { $0.pointee.event_query(pointer(event)) }
  }

  /// See `DeviceDriver`.
  public func seconds(from start: DriverHandle, to end: DriverHandle) throws(RoostError) -> Double {
    var milliseconds: Float = 0
    try call("EventElapsedTime") { $0.pointee.event_elapsed(&milliseconds, pointer(start), pointer(end)) }
    return Double(milliseconds) / 1000
  }

  /// A question whose "not ready" is an answer, not a failure.
  private func isReady(
    _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_hip>) -> CInt
  ) throws(RoostError) -> Bool {
    var isReady = true
    try call(function()) { table in
      let result = body(table)
      isReady = result == 0
      return result == Self.notReady ? 0 : result
    }
    return isReady
  }

  // MARK: - Sharing

  /// hipIpcMemLazyEnablePeerAccess of 6.x; 5.2 takes and ignores it.
  private static let lazyPeerAccess: UInt32 = 1

  /// See `DeviceDriver`.
  public func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle {
    var handle = roost_hip_ipc_handle()
    try call("IpcGetMemHandle") { $0.pointee.ipc_export(&handle, pointer(memory.address)) }
    let bytes = withUnsafeBytes(of: handle) { Array($0) }
    return SharedMemoryHandle(bytes: bytes, descriptor: -1, byteCount: memory.byteCount)
  }

  /// See `DeviceDriver`.
  public func importMemory(_ shared: SharedMemoryHandle) throws(RoostError) -> UInt {
    var handle = roost_hip_ipc_handle()
    guard shared.bytes.count == MemoryLayout.size(ofValue: handle) else {
      throw RoostError(.invalidInput, "this is no handle of AMD device memory")
    }
    withUnsafeMutableBytes(of: &handle) { $0.copyBytes(from: shared.bytes) }
    var address: UnsafeMutableRawPointer?
    try call("IpcOpenMemHandle") { $0.pointee.ipc_import(&address, handle, Self.lazyPeerAccess) }
    return UInt(bitPattern: address)
  }

  /// See `DeviceDriver`.
  public func closeImported(_ address: UInt) throws(RoostError) {
    try call("IpcCloseMemHandle") { $0.pointee.ipc_close(pointer(address)) }
  }
}
