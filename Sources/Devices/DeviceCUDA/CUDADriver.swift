import CRoostVendors
import Glibc
import RoostDevice
import RoostPrimitives
import Synchronization

/// The driver interface of CUDA as raw calls: the device's primary context, which other libraries in the process share.
///
/// A call that needs the context makes it the calling thread's own and puts back what was there, because the threads are
/// somebody else's.
public final class CUDADriver: RuntimeDriver {
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
  let collectives: NCCLLibrary?
  let storage: CUDADirectStorage?
  /// Why other libraries that were asked for are not used.
  public let refusals: [RoostError]
  let virtualMemory = Locked<[UInt: VirtualRange]>([:])
  private let priorities: (normal: CInt, high: CInt)
  /// The driver's functions of streams and events.
  public let streams = RuntimeStreams<roost_cuda>(
    notReady: 600, destroyStream: ("StreamDestroy_v2", { $0.pointee.stream_destroy($1) }),
    queryStream: ("StreamQuery", { $0.pointee.stream_query($1) }),
    makeEvent: ("EventCreate", { $0.pointee.event_create($1, 0) }),
    destroyEvent: ("EventDestroy_v2", { $0.pointee.event_destroy($1) }),
    record: ("EventRecord", { $0.pointee.event_record($1, $2) }),
    wait: ("StreamWaitEvent", { $0.pointee.stream_wait($2, $1, 0) }),
    queryEvent: ("EventQuery", { $0.pointee.event_query($1) }),
    elapsed: ("EventElapsedTime", { $0.pointee.event_elapsed($1, $2, $3) }))

  /// Opens the library and the device.
  ///
  /// - Throws: why the device cannot be used, naming the library, the function or the device that is missing.
  public init(_ configuration: CUDADeviceConfiguration) throws(RoostError) {
    self.configuration = configuration
    let library = try configuration.vendor.library(path: configuration.library)
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
      var description = try Self.describe(
        library, configuration, ordinal, hasPriorities: priorities.normal != priorities.high)
      (collectives, storage, refusals) = Self.companions(
        configuration, Context(library: library, handle: UInt(bitPattern: context)))
      if collectives != nil { description.capabilities.insert(.collectives) }
      if storage != nil { description.capabilities.insert(.directStorage) }
      self.description = description
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
    let library = try vendor.library(path: path)
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
  public func call(
    _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_cuda>) -> CInt
  ) throws(RoostError) {
    let result = try runtime.run { body(library.table) }
    if result != 0 { throw library.error(result, function()) }
  }

  /// Calls a function of a stream or an event in whatever context the thread has: the question for it would cost more than
  /// all the rest (docs/performance.md).
  ///
  /// Sound for asking, recording, waiting and copying, because a stream and an event belong to the context that they were
  /// made in: a copy succeeds on a stream of another device than the current one, an event is asked and waited for from any
  /// device (CUDA C++ Programming Guide, "Stream and event behavior"; cuda.h at cuStreamWaitEvent), an event is recorded on
  /// streams of its own context alone (cuda.h at cuEventRecord), and addresses mean the same in all contexts. What fails may
  /// have failed for the thread's context, and is called again in ours. Not for launches, nor for what must not
  /// happen twice.
  @inline(__always)
  public func call(
    on handle: DriverHandle, _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_cuda>) -> CInt
  ) throws(RoostError) {
    let result = handle > Limits.contextStreamMax ? body(library.table) : noAnswer
    if result != 0 { try repeatCall(result, function(), body) }
  }

  @inline(never)
  private func repeatCall(
    _ result: CInt, _ function: @autoclosure () -> String, _ body: (UnsafePointer<roost_cuda>) -> CInt
  ) throws(RoostError) {
    switch result {
    // A driver says these of the thread's context, too: there is none, it is not the handle's.
    case noAnswer, invalidContext, invalidHandle: break
    // It may be another device that is lost.
    default: if library.vendor.code(result) != .lost { throw library.error(result, function()) }
    }
    try call(function(), body)
  }

  private static func priorities(
    _ library: CUDALibrary, _ context: UInt
  ) throws(RoostError) -> (normal: CInt, high: CInt) {
    guard library.table.pointee.priority_range != nil else { return (0, 0) }
    var least: CInt = 0
    var greatest: CInt = 0
    let result = try Context(library: library, handle: context).run {
      library.table.pointee.priority_range(&least, &greatest)
    }
    try library.check(result, "CtxGetStreamPriorityRange")
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
  public func call(
    _ function: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer,
    on stream: DriverHandle
  ) throws(RoostError) {
    try call("LaunchHostFunc") { $0.pointee.launch_host(pointer(stream), function, context) }
  }
}

/// CU_STREAM_NON_BLOCKING.
private let nonBlocking: UInt32 = 1
/// No result of the driver's: it was not called.
private let noAnswer: CInt = -1
/// CUDA_ERROR_INVALID_CONTEXT.
private let invalidContext: CInt = 201
/// CUDA_ERROR_INVALID_HANDLE.
private let invalidHandle: CInt = 400
