import CRoostVendors
import Glibc
import RoostDevice
import RoostPrimitives
import Synchronization

/// The driver interface of CUDA as raw calls: the device's primary context, which other libraries in the process share.
///
/// Every call makes the context the calling thread's own and puts back what was there, because the threads are
/// somebody else's.
public final class CUDADriver: DeviceDriver {
  /// What the device is; constant.
  public let description: DeviceDescription
  let library: CUDALibrary
  let configuration: CUDADeviceConfiguration
  let ordinal: CInt
  /// The primary context. A pointer of the driver's; valid until `close`.
  let context: UInt
  let ranges = HostRanges()
  let batches = Locked<[CUDABatch]>([])
  let kernels = Locked<CUDAKernels?>(nil)
  let arePrepared = Atomic(false)
  let paths: Locked<CopyPathTable>
  let virtualMemory = Locked<[UInt: VirtualRange]>([:])
  private let priorities: (normal: CInt, high: CInt)

  /// Opens the library and the device.
  ///
  /// - Throws: why the device cannot be used, naming the library, the function or the device that is missing.
  public init(_ configuration: CUDADeviceConfiguration) throws(RoostError) {
    self.configuration = configuration
    let library = try CUDALibrary(configuration.vendor, path: configuration.library)
    self.library = library
    let table = library.table
    try library.check(table.pointee.`init`(0), "Init")
    var count: CInt = 0
    try library.check(table.pointee.device_count(&count), "DeviceGetCount")
    guard configuration.index < Int(count) else {
      throw RoostError(
        .notFound,
        "there is no device \(configuration.vendor.scheme):\(configuration.index); the driver shows \(count)")
    }
    var ordinal: CInt = 0
    try library.check(table.pointee.device_get(&ordinal, CInt(configuration.index)), "DeviceGet")
    self.ordinal = ordinal
    var context: UnsafeMutableRawPointer?
    try library.check(table.pointee.context_retain(&context, ordinal), "DevicePrimaryCtxRetain")
    self.context = UInt(bitPattern: context)
    do throws(RoostError) {
      priorities = try Self.priorities(library, UInt(bitPattern: context))
      description = try Self.describe(
        library, configuration, ordinal, hasPriorities: priorities.normal != priorities.high)
      paths = Locked(CopyPathTable(hasBatch: description.capabilities.contains(.batchedCopy)))
    } catch {
      _ = table.pointee.context_release(ordinal)
      throw error
    }
  }

  /// How many devices the driver shows; at least one.
  ///
  /// - Throws: why there is none.
  public static func deviceCount(_ vendor: CUDAVendor, library path: String? = nil) throws(RoostError) -> Int {
    let library = try CUDALibrary(vendor, path: path)
    try library.check(library.table.pointee.`init`(0), "Init")
    var count: CInt = 0
    try library.check(library.table.pointee.device_count(&count), "DeviceGetCount")
    guard count > 0 else { throw RoostError(.notFound, "the driver of \(vendor.name) shows no device") }
    return Int(count)
  }

  /// Lets go of the context.
  public func close() throws(RoostError) {
    let released: RoostError?
    do throws(RoostError) {
      try kernels.withLock({ $0 })?.close(self)
      released = nil
    } catch {
      released = error
    }
    try library.check(library.table.pointee.context_release(ordinal), "DevicePrimaryCtxRelease_v2")
    if let released { throw released }
  }

  /// Calls a function in the context.
  @inline(__always)
  func call(
    _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_cuda>) -> CInt
  ) throws(RoostError) {
    try CUDADriver.call(library, context, function(), body)
  }

  @inline(__always)
  private static func call(
    _ library: CUDALibrary, _ context: UInt, _ function: @autoclosure () -> String,
    _ body: (UnsafePointer<roost_cuda>) -> CInt
  ) throws(RoostError) {
    var pushed: CInt = 0
    let entered = roost_cuda_enter(library.table, UnsafeMutableRawPointer(bitPattern: context), &pushed)
    guard entered == 0 else { throw library.error(entered, pushed < 0 ? "CtxPushCurrent_v2" : "CtxGetCurrent") }
    let result = body(library.table)
    let left = pushed > 0 ? roost_cuda_leave(library.table) : 0
    if result != 0 { throw library.error(result, function()) }
    if left != 0 { throw library.error(left, "CtxPopCurrent_v2") }
  }

  private static func priorities(
    _ library: CUDALibrary, _ context: UInt
  ) throws(RoostError) -> (normal: CInt, high: CInt) {
    guard library.table.pointee.priority_range != nil else { return (0, 0) }
    var least: CInt = 0
    var greatest: CInt = 0
    try call(library, context, "CtxGetStreamPriorityRange") { $0.pointee.priority_range(&least, &greatest) }
    return (least, greatest)
  }

  // MARK: - Streams and events

  /// Makes a stream that does not wait for the process's default stream.
  public func makeStream(priority: StreamPriority) throws(RoostError) -> DriverHandle {
    try prepareKernels()
    return try createStream(priority: priority)
  }

  func createStream(priority: StreamPriority) throws(RoostError) -> DriverHandle {
    var stream: UnsafeMutableRawPointer?
    let rank = priority == .high ? priorities.high : priorities.normal
    try call("StreamCreateWithPriority") { $0.pointee.stream_create(&stream, nonBlocking, rank) }
    return UInt(bitPattern: stream)
  }

  /// See `DeviceDriver`.
  public func destroyStream(_ stream: DriverHandle) throws(RoostError) {
    try call("StreamDestroy_v2") { $0.pointee.stream_destroy(pointer(stream)) }
  }

  /// See `DeviceDriver`.
  public func isIdle(_ stream: DriverHandle) throws(RoostError) -> Bool {
    try isReady("StreamQuery") { $0.pointee.stream_query(pointer(stream)) }
  }

  /// Makes an event that measures time.
  public func makeEvent() throws(RoostError) -> DriverHandle {
    var event: UnsafeMutableRawPointer?
    try call("EventCreate") { $0.pointee.event_create(&event, 0) }
    return UInt(bitPattern: event)
  }

  /// See `DeviceDriver`.
  public func destroyEvent(_ event: DriverHandle) throws(RoostError) {
    try call("EventDestroy_v2") { $0.pointee.event_destroy(pointer(event)) }
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

  /// See `DeviceDriver`.
  public func call(
    _ function: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer,
    on stream: DriverHandle
  ) throws(RoostError) {
    try call("LaunchHostFunc") { $0.pointee.launch_host(pointer(stream), function, context) }
  }

  /// A question whose "not ready" is an answer, not a failure.
  @inline(__always)
  private func isReady(
    _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_cuda>) -> CInt
  ) throws(RoostError) -> Bool {
    var isReady = true
    try call(function()) { table in
      let result = body(table)
      isReady = result == 0
      return result == notReady ? 0 : result
    }
    return isReady
  }
}

/// CU_STREAM_NON_BLOCKING.
private let nonBlocking: UInt32 = 1
/// CUDA_ERROR_NOT_READY.
private let notReady: CInt = 600

/// A handle as the driver wants it.
@inline(__always)
func pointer(_ handle: UInt) -> UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: handle) }
