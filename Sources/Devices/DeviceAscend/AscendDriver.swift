import CRoostVendors
import RoostDevice
import RoostPrimitives

/// Huawei's runtime for Ascend as raw calls. Never run on hardware: tested on a simulated driver.
///
/// Every call makes the device's own context, which other libraries in the process share, the calling thread's, and puts
/// back what was there, because the threads are somebody else's.
public final class AscendDriver: PlainRuntimeDriver {
  /// What the device is; constant.
  public let description: DeviceDescription
  private let library: AscendLibrary
  private let ordinal: CInt
  /// A pointer of the runtime's; valid until `close`.
  private let context: UInt
  private let priorities: (normal: CInt, high: CInt)
  /// The keys of shared memory, by its address: of what was imported, and of what was exported.
  private let keys = Locked<[UInt: [CChar]]>([:])
  /// The host memory that was allocated or registered here.
  public let ranges = HostRanges()

  /// The runtime's functions of streams and events. An event waits (ACL_EVENT_SYNC), can be asked
  /// (ACL_EVENT_CAPTURE_STREAM_PROGRESS) and keeps time (ACL_EVENT_TIME_LINE).
  public let streams = RuntimeStreams<roost_acl>(
    notReady: CInt(ROOST_ACL_NOT_READY), destroyStream: ("rtDestroyStream", { $0.pointee.stream_destroy($1) }),
    queryStream: ("rtStreamQuery", { roost_acl_stream_query($0, $1) }),
    makeEvent: ("rtCreateEventExWithFlag", { $0.pointee.event_create($1, 1 | 2 | 8) }),
    destroyEvent: ("rtDestroyEvent", { $0.pointee.event_destroy($1) }),
    record: ("rtRecordEvent", { $0.pointee.event_record($1, $2) }),
    wait: ("rtStreamWaitEvent", { $0.pointee.stream_wait($2, $1) }),
    queryEvent: ("rtQueryEventStatus", { roost_acl_event_query($0, $1) }),
    elapsed: ("rtEventElapsedTime", { $0.pointee.event_elapsed($1, $2, $3) }))

  /// The runtime's functions of memory. Device memory is in huge pages where there are any (ACL_MEM_MALLOC_HUGE_FIRST).
  public let memory: RuntimeMemory<roost_acl>

  /// Opens a device.
  ///
  /// - Throws: why it cannot be used, naming the library, the function or the device that is missing.
  public init(index: Int, library path: String? = nil) throws(RoostError) {
    let library = try AscendLibrary.open(path)
    let count = try library.deviceCount()
    guard index < count else {
      throw RoostError(.notFound, "there is no device ascend:\(index); the driver shows \(count)")
    }
    self.library = library
    ordinal = CInt(index)
    let isNewer = library.table.pointee.register_host_2 != nil
    memory = RuntimeMemory(
      allocate: ("rtMalloc", { $0.pointee.allocate($1, $2, 0) }), free: ("rtFree", { $0.pointee.free($1) }),
      allocateHost: ("rtMallocHost", { $0.pointee.allocate_host($1, $2) }),
      freeHost: ("rtFreeHost", { $0.pointee.free_host($1) }),
      register: (isNewer ? "rtHostRegisterV2" : "rtHostRegister", { roost_acl_register($0, $1, $2) }),
      unregister: ("rtHostUnregister", { $0.pointee.unregister_host($1) }))
    context = try library.retain(CInt(index))
    do throws(RoostError) {
      priorities = try library.priorities(in: context)
      description = try library.describe(CInt(index), in: context, hasPriorities: priorities.normal != priorities.high)
    } catch {
      _ = library.table.pointee.device_reset(CInt(index))
      throw error
    }
  }

  /// How many devices the driver shows; at least one.
  ///
  /// - Throws: why there is none.
  public static func deviceCount(library path: String? = nil) throws(RoostError) -> Int {
    let count = try AscendLibrary.open(path).deviceCount()
    guard count > 0 else { throw RoostError(.notFound, "the driver of Huawei shows no device") }
    return count
  }

  /// Lets go of the device. The runtime counts who set it: other libraries in the process go on.
  public func close() throws(RoostError) {
    try library.check(library.table.pointee.device_reset(ordinal), "rtResetDevice")
  }

  /// Calls a function with the device chosen.
  @inline(__always)
  public func call(
    _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_acl>) -> CInt
  ) throws(RoostError) {
    try library.call(context, function(), body)
  }

  /// See `DeviceDriver`.
  public func freeMemoryBytes() throws(RoostError) -> Int { try library.memory(in: context).free }

  // MARK: - Streams and copies

  /// ACL_STREAM_FAST_LAUNCH and FAST_SYNC.
  private static let fast: UInt32 = 3

  /// See `DeviceDriver`.
  public func makeStream(priority: StreamPriority) throws(RoostError) -> DriverHandle {
    var stream: UnsafeMutableRawPointer?
    let rank = UInt32(clamping: priority == .high ? priorities.high : priorities.normal)
    try call("rtCreateStreamWithConfig") { $0.pointee.stream_create(&stream, rank, Self.fast) }
    return UInt(bitPattern: stream)
  }

  /// One piece is one call; more are a batch where the runtime has such a call and knows the host's memory.
  public func copy(
    _ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection, on stream: DriverHandle
  ) throws(RoostError) {
    let isBatch =
      pieces.count > 1 && description.capabilities.contains(.batchedCopy) && ranges.cover(pieces, direction)
    var function: UnsafePointer<CChar>?
    try call(function.map { String(cString: $0) } ?? "rtMemcpyAsync") {
      roost_acl_copy_pieces(
        $0, pieces.baseAddress, pieces.count, direction.runtimeKind, ordinal, isBatch ? 1 : 0, pointer(stream),
        &function)
    }
  }

  /// See `DeviceDriver`.
  public func copy(_ rows: StridedCopy, _ direction: CopyDirection, on stream: DriverHandle) throws(RoostError) {
    try call("rtMemcpy2dAsync") {
      $0.pointee.copy_rows(
        pointer(rows.target), rows.targetPitch, pointer(rows.source), rows.sourcePitch, rows.rowByteCount,
        rows.rowCount, direction.runtimeKind, pointer(stream))
    }
  }

  /// See `DeviceDriver`.
  public func call(
    _ function: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer,
    on stream: DriverHandle
  ) throws(RoostError) {
    try call("rtLaunchHostFunc") { $0.pointee.launch_host(pointer(stream), function, context) }
  }

  // MARK: - Sharing

  /// ACL_RT_IPC_MEM_EXPORT_FLAG_DISABLE_PID_VALIDATION: whoever has the key may open the memory, as with everybody else.
  private static let anyProcess: UInt64 = 1

  /// The runtime's key, which is text. Exported once, it stays so until the memory is freed.
  public func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle {
    let known = keys.withLock { $0[memory.address] }
    var key = known ?? [CChar](repeating: 0, count: Limits.keyBytes)
    if known == nil {
      try call("rtIpcMemGetExportKey") {
        $0.pointee.ipc_export(pointer(memory.address), memory.byteCount, &key, Limits.keyBytes, Self.anyProcess)
      }
      keys.withLock { $0[memory.address] = key }
    }
    return SharedMemoryHandle(
      bytes: key.map { UInt8(bitPattern: $0) }, descriptor: -1, byteCount: memory.byteCount)
  }

  /// See `DeviceDriver`.
  public func importMemory(_ shared: SharedMemoryHandle) throws(RoostError) -> UInt {
    guard shared.bytes.count == Limits.keyBytes, shared.bytes.last == 0, shared.bytes.first != 0 else {
      throw RoostError(.invalidInput, "this is no handle of \(description.vendor) device memory")
    }
    let key = shared.bytes.map { CChar(bitPattern: $0) }
    var address: UnsafeMutableRawPointer?
    try call("rtIpcMemImportByKey") { $0.pointee.ipc_import(&address, key, 0) }
    keys.withLock { $0[UInt(bitPattern: address)] = key }
    return UInt(bitPattern: address)
  }

  /// See `DeviceDriver`.
  public func closeImported(_ address: UInt) throws(RoostError) { try closeKey(of: address) }

  /// Frees; what was exported is closed first, as the runtime wants it.
  public func free(_ address: UInt) throws(RoostError) {
    try closeKey(of: address)
    try call(memory.free.name) { memory.free.call($0, pointer(address)) }
  }

  private func closeKey(of address: UInt) throws(RoostError) {
    guard let key = keys.withLock({ $0[address] }) else { return }
    try call("rtIpcMemClose") { $0.pointee.ipc_close(key) }
    keys.withLock { _ = $0.removeValue(forKey: address) }
  }
}
