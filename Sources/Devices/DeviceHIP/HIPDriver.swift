import CRoostVendors
import RoostDevice
import RoostPrimitives

/// AMD's HIP runtime as raw calls. Never run on hardware: tested on a simulated driver.
///
/// Every call makes the device the calling thread's own and puts back what was there, because the threads are somebody
/// else's.
public final class HIPDriver: PlainRuntimeDriver {
  /// What the device is; constant.
  public let description: DeviceDescription
  private let library: HIPLibrary
  private let ordinal: CInt
  private let priorities: (normal: CInt, high: CInt)
  /// The host memory that was allocated or registered here.
  public let ranges = HostRanges()

  /// The runtime's functions of streams and events.
  public let streams = RuntimeStreams<roost_hip>(
    notReady: 600, destroyStream: ("StreamDestroy", { $0.pointee.stream_destroy($1) }),
    queryStream: ("StreamQuery", { $0.pointee.stream_query($1) }),
    makeEvent: ("EventCreateWithFlags", { $0.pointee.event_create($1, 0) }),
    destroyEvent: ("EventDestroy", { $0.pointee.event_destroy($1) }),
    record: ("EventRecord", { $0.pointee.event_record($1, $2) }),
    wait: ("StreamWaitEvent", { $0.pointee.stream_wait($2, $1, 0) }),
    queryEvent: ("EventQuery", { $0.pointee.event_query($1) }),
    elapsed: ("EventElapsedTime", { $0.pointee.event_elapsed($1, $2, $3) }))

  /// The runtime's functions of memory. Host memory is portable and mapped (hipHostMallocPortable and Mapped,
  /// hipHostRegisterPortable and Mapped).
  public let memory = RuntimeMemory<roost_hip>(
    allocate: ("Malloc", { $0.pointee.allocate($1, $2) }), free: ("Free", { $0.pointee.free($1) }),
    allocateHost: ("HostMalloc", { $0.pointee.allocate_host($1, $2, 3) }),
    freeHost: ("HostFree", { $0.pointee.free_host($1) }),
    register: ("HostRegister", { $0.pointee.register_host($1, $2, 3) }),
    unregister: ("HostUnregister", { $0.pointee.unregister_host($1) }))

  /// Opens a device.
  ///
  /// - Throws: why it cannot be used, naming the library, the function or the device that is missing.
  public init(index: Int, library path: String? = nil) throws(RoostError) {
    let library = try HIPLibrary.open(path)
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
    let count = try HIPLibrary.open(path).deviceCount()
    guard count > 0 else { throw RoostError(.notFound, "the driver of AMD shows no device") }
    return count
  }

  /// Nothing is held.
  public func close() throws(RoostError) {}

  /// Calls a function with the device chosen.
  @inline(__always)
  public func call(
    _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_hip>) -> CInt
  ) throws(RoostError) {
    try library.call(ordinal, function(), body)
  }

  /// See `DeviceDriver`.
  public func freeMemoryBytes() throws(RoostError) -> Int {
    var free = 0
    var total = 0
    try call("MemGetInfo") { $0.pointee.memory_info(&free, &total) }
    return free
  }

  // MARK: - Streams and copies

  /// hipStreamNonBlocking.
  private static let nonBlocking: UInt32 = 1

  /// See `DeviceDriver`.
  public func makeStream(priority: StreamPriority) throws(RoostError) -> DriverHandle {
    var stream: UnsafeMutableRawPointer?
    let rank = priority == .high ? priorities.high : priorities.normal
    try call("StreamCreateWithPriority") { $0.pointee.stream_create(&stream, Self.nonBlocking, rank) }
    return UInt(bitPattern: stream)
  }

  /// One call a piece: the runtime's own batch call is a loop.
  public func copy(
    _ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection, on stream: DriverHandle
  ) throws(RoostError) {
    try call("MemcpyAsync") {
      roost_copy_each($0.pointee.copy, pieces.baseAddress, pieces.count, direction.runtimeKind, pointer(stream))
    }
  }

  /// See `DeviceDriver`.
  public func copy(_ rows: StridedCopy, _ direction: CopyDirection, on stream: DriverHandle) throws(RoostError) {
    try call("Memcpy2DAsync") {
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
    try call(library.callName) { roost_hip_call($0, function, context, pointer(stream)) }
  }

  // MARK: - Sharing

  /// hipIpcMemLazyEnablePeerAccess of 6.x; 5.2 takes and ignores it.
  private static let lazyPeerAccess: UInt32 = 1

  /// See `DeviceDriver`.
  public func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle {
    var handle = roost_hip_ipc_handle()
    try call("IpcGetMemHandle") { $0.pointee.ipc_export(&handle, pointer(memory.address)) }
    return SharedMemoryHandle(of: handle, byteCount: memory.byteCount)
  }

  /// See `DeviceDriver`.
  public func importMemory(_ shared: SharedMemoryHandle) throws(RoostError) -> UInt {
    var handle = roost_hip_ipc_handle()
    try shared.unwrap(into: &handle, vendor: description.vendor)
    var address: UnsafeMutableRawPointer?
    try call("IpcOpenMemHandle") { $0.pointee.ipc_import(&address, handle, Self.lazyPeerAccess) }
    return UInt(bitPattern: address)
  }

  /// See `DeviceDriver`.
  public func closeImported(_ address: UInt) throws(RoostError) {
    try call("IpcCloseMemHandle") { $0.pointee.ipc_close(pointer(address)) }
  }
}
