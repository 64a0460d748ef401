import CRoostVendors
import RoostDevice
import RoostPrimitives

/// Baidu's runtime for Kunlun as raw calls. Never run on hardware: tested on a simulated driver.
///
/// Every call makes the device the calling thread's own and puts back what was there, because the threads are somebody
/// else's.
public final class KunlunDriver: PlainRuntimeDriver {
  /// What the device is; constant.
  public let description: DeviceDescription
  private let library: KunlunLibrary
  private let ordinal: CInt
  private let registrationBytesMax: Int
  /// The sizes of what was allocated here: the runtime does not say what is free.
  private let sizes = Locked<[UInt: Int]>([:])
  private let tails = StreamTails()
  /// The host memory that was allocated or registered here.
  public let ranges = HostRanges()

  /// The runtime's functions of streams and events. Nothing says whether a stream is idle: its tail does.
  public let streams = RuntimeStreams<roost_xpu>(
    notReady: CInt(ROOST_XPU_NOT_READY), destroyStream: ("stream_destroy", { $0.pointee.stream_destroy($1) }),
    queryStream: ("event_query", { roost_xpu_event_query($0, $1) }),
    makeEvent: ("event_create", { $0.pointee.event_create($1) }),
    destroyEvent: ("event_destroy", { $0.pointee.event_destroy($1) }),
    record: ("event_record", { $0.pointee.event_record($1, $2) }),
    wait: ("stream_wait_event", { $0.pointee.stream_wait($2, $1) }),
    queryEvent: ("event_query", { roost_xpu_event_query($0, $1) }), elapsed: nil)

  /// The runtime's functions of memory. Device memory is the main kind (XPU_MEM_MAIN).
  public let memory = RuntimeMemory<roost_xpu>(
    allocate: ("malloc", { $0.pointee.allocate($1, UInt64($2), 0) }), free: ("free", { $0.pointee.free($1) }),
    allocateHost: ("host_alloc", { $0.pointee.allocate_host($1, UInt64($2), 0) }),
    freeHost: ("host_free", { $0.pointee.free_host($1) }),
    register: ("host_register", { $0.pointee.register_host($1, UInt64($2), 0) }),
    unregister: ("host_unregister", { $0.pointee.unregister_host($1) }))

  /// Opens a device. `registrationBytesMax` is for tests.
  ///
  /// - Throws: why it cannot be used, naming the library, the function or the device that is missing.
  public init(index: Int, library path: String? = nil, registrationBytesMax: Int? = nil) throws(RoostError) {
    let library = try KunlunLibrary.open(path)
    let count = try library.deviceCount()
    guard index < count else {
      throw RoostError(.notFound, "there is no device kunlun:\(index); the driver shows \(count)")
    }
    self.library = library
    self.registrationBytesMax = registrationBytesMax ?? Limits.registrationBytesMax
    ordinal = CInt(index)
    description = try library.describe(CInt(index))
  }

  /// How many devices the driver shows; at least one.
  ///
  /// - Throws: why there is none.
  public static func deviceCount(library path: String? = nil) throws(RoostError) -> Int {
    let count = try KunlunLibrary.open(path).deviceCount()
    guard count > 0 else { throw RoostError(.notFound, "the driver of Baidu shows no device") }
    return count
  }

  /// Nothing is held.
  public func close() throws(RoostError) {}

  /// Calls a function with the device chosen.
  @inline(__always)
  public func call(
    _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_xpu>) -> CInt
  ) throws(RoostError) {
    try library.call(ordinal, function(), body)
  }

  // MARK: - Memory

  /// All of it without what was allocated here: an estimate, since others may have some too.
  public func freeMemoryBytes() throws(RoostError) -> Int {
    description.memoryBytes - sizes.withLock { $0.values.reduce(0, +) }
  }

  /// See `DeviceDriver`.
  public func allocate(byteCount: Int) throws(RoostError) -> UInt {
    var address: UnsafeMutableRawPointer?
    try call(memory.allocate.name) { memory.allocate.call($0, &address, byteCount) }
    sizes.withLock { $0[UInt(bitPattern: address)] = byteCount }
    return UInt(bitPattern: address)
  }

  /// See `DeviceDriver`.
  public func free(_ address: UInt) throws(RoostError) {
    try call(memory.free.name) { memory.free.call($0, pointer(address)) }
    sizes.withLock { _ = $0.removeValue(forKey: address) }
  }

  /// Page-locks in parts that the runtime can count; all of them or none.
  public func register(_ host: HostMemory) throws(RoostError) {
    var done: [UInt] = []
    do throws(RoostError) {
      for part in parts(of: host) {
        try call(memory.register.name) { memory.register.call($0, pointer(part.address), part.byteCount) }
        done.append(part.address)
      }
    } catch {
      for address in done { try? call(memory.unregister.name) { memory.unregister.call($0, pointer(address)) } }
      throw error
    }
    ranges.add(host.address..<host.address + UInt(host.byteCount))
  }

  /// See `DeviceDriver`.
  public func unregister(_ host: HostMemory) throws(RoostError) {
    for part in parts(of: host) {
      try call(memory.unregister.name) { memory.unregister.call($0, pointer(part.address)) }
    }
    ranges.remove(startingAt: host.address)
  }

  private func parts(of host: HostMemory) -> [HostMemory] {
    stride(from: 0, to: host.byteCount, by: registrationBytesMax).map {
      HostMemory(address: host.address + UInt($0), byteCount: min(registrationBytesMax, host.byteCount - $0))
    }
  }

  // MARK: - Streams and copies

  /// Makes a stream and its tail. There is one priority.
  public func makeStream(priority: StreamPriority) throws(RoostError) -> DriverHandle {
    let tail = try makeEvent()
    var stream: UnsafeMutableRawPointer?
    do throws(RoostError) {
      try call("stream_create") { $0.pointee.stream_create(&stream) }
    } catch {
      try? destroyEvent(tail)
      throw error
    }
    tails.add(tail, to: UInt(bitPattern: stream))
    return UInt(bitPattern: stream)
  }

  /// See `DeviceDriver`.
  public func destroyStream(_ stream: DriverHandle) throws(RoostError) {
    if let tail = tails.remove(from: stream) { try destroyEvent(tail) }
    try call(streams.destroyStream.name) { streams.destroyStream.call($0, pointer(stream)) }
  }

  /// Asks the stream's tail, recorded again if something was submitted after it.
  public func isIdle(_ stream: DriverHandle) throws(RoostError) -> Bool {
    guard let tail = try tails.recorded(on: stream, { (tail) throws(RoostError) in try putTail(tail, on: stream) })
    else { return true }
    return try isComplete(tail)
  }

  private func putTail(_ tail: DriverHandle, on stream: DriverHandle) throws(RoostError) {
    try call(streams.record.name) { streams.record.call($0, pointer(tail), pointer(stream)) }
  }

  /// XPU_DEVICE_TO_HOST and so on: not the order of other vendors.
  private static func kind(_ direction: CopyDirection) -> CInt {
    switch direction {
    case .deviceToHost: 0
    case .hostToDevice: 1
    case .deviceToDevice: 2
    }
  }

  /// One call a piece.
  public func copy(
    _ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection, on stream: DriverHandle
  ) throws(RoostError) {
    defer { tails.noteSubmission(to: stream) }
    try call("memcpy_async") {
      roost_copy_each($0.pointee.copy, pieces.baseAddress, pieces.count, Self.kind(direction), pointer(stream))
    }
  }

  /// Records, behind the tail: whoever has seen the event has seen the tail too.
  public func record(_ event: DriverHandle, on stream: DriverHandle) throws(RoostError) {
    _ = try tails.recorded(on: stream) { (tail) throws(RoostError) in try putTail(tail, on: stream) }
    try call(streams.record.name) { streams.record.call($0, pointer(event), pointer(stream)) }
  }

  /// See `DeviceDriver`.
  public func wait(for event: DriverHandle, on stream: DriverHandle) throws(RoostError) {
    defer { tails.noteSubmission(to: stream) }
    try call(streams.wait.name) { streams.wait.call($0, pointer(event), pointer(stream)) }
  }

  // MARK: - Sharing

  /// See `DeviceDriver`.
  public func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle {
    var handle = roost_xpu_ipc_handle()
    try call("ipc_get_memhandle") { $0.pointee.ipc_export(&handle, pointer(memory.address)) }
    return SharedMemoryHandle(of: handle, byteCount: memory.byteCount)
  }

  /// See `DeviceDriver`.
  public func importMemory(_ shared: SharedMemoryHandle) throws(RoostError) -> UInt {
    var handle = roost_xpu_ipc_handle()
    try shared.unwrap(into: &handle, vendor: description.vendor)
    var address: UnsafeMutableRawPointer?
    // The only flag there is, 1: reach the other device's memory when it is needed.
    try call("ipc_open_memhandle") { $0.pointee.ipc_import(&address, handle, 1) }
    return UInt(bitPattern: address)
  }

  /// See `DeviceDriver`.
  public func closeImported(_ address: UInt) throws(RoostError) {
    try call("ipc_close_memhandle") { $0.pointee.ipc_close(pointer(address)) }
  }
}
