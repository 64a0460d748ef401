import RoostPrimitives

/// A stream or an event of a vendor's runtime: its pointer as a number.
public typealias DriverHandle = UInt

/// The raw calls of a vendor's runtime, each with one meaning and no state of its own: what has to be written to add an
/// accelerator. `DrivenDevice` makes a `Device` of it and owns everything that is the same for all: failed streams,
/// deadlines, host functions of a lost device, alignment, double frees.
///
/// **Errors.** Every call throws what went wrong, naming the vendor's function. The code `lost` says that the device
/// will never work again; whatever else is this call's alone.
///
/// **Threads.** Every call may come from any thread, at any time. None waits for the device, except `free`, `freeHost`,
/// `unregister` and `close`, whose vendors wait.
public protocol DeviceDriver: AnyObject, Sendable {
  /// What the device is and can do; constant.
  var description: DeviceDescription { get }
  /// Whether `record` takes streams of the vendor's that `makeStream` did not make.
  var knowsForeignStreams: Bool { get }

  /// Device memory that nobody uses.
  func freeMemoryBytes() throws(RoostError) -> Int
  /// Allocates device memory, aligned as the vendor pleases. `outOfResources` if it does not fit.
  func allocate(byteCount: Int) throws(RoostError) -> UInt
  /// Frees what `allocate` gave.
  func free(_ address: UInt) throws(RoostError)
  /// Allocates page-locked host memory.
  func allocateHost(byteCount: Int) throws(RoostError) -> UInt
  /// Frees what `allocateHost` gave.
  func freeHost(_ address: UInt) throws(RoostError)
  /// Page-locks host memory. `busy` if a part of it is locked already.
  func register(_ memory: HostMemory) throws(RoostError)
  /// Unlocks what `register` locked.
  func unregister(_ memory: HostMemory) throws(RoostError)

  /// Makes a stream.
  func makeStream(priority: StreamPriority) throws(RoostError) -> DriverHandle
  /// Lets go of a stream; what was submitted goes on.
  func destroyStream(_ stream: DriverHandle) throws(RoostError)
  /// Whether everything submitted has ended.
  func isIdle(_ stream: DriverHandle) throws(RoostError) -> Bool
  /// Copies pieces, unordered among themselves; none is null or wraps around, some may be empty. The array is the
  /// caller's after the call.
  func copy(
    _ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection, on stream: DriverHandle
  ) throws(RoostError)
  /// Copies rows that make sense: at least one, not empty, and no longer than a pitch.
  func copy(_ rows: StridedCopy, _ direction: CopyDirection, on stream: DriverHandle) throws(RoostError)
  /// Calls a function with a context in order. Not called once the device is lost.
  func call(
    _ function: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer,
    on stream: DriverHandle
  ) throws(RoostError)

  /// Makes an event that nobody has recorded.
  func makeEvent() throws(RoostError) -> DriverHandle
  /// Lets go of an event.
  func destroyEvent(_ event: DriverHandle) throws(RoostError)
  /// Records an event on a stream.
  func record(_ event: DriverHandle, on stream: DriverHandle) throws(RoostError)
  /// Makes a stream wait for the last recording of an event, if there is one.
  func wait(for event: DriverHandle, on stream: DriverHandle) throws(RoostError)
  /// Whether the last recording of an event has completed.
  func isComplete(_ event: DriverHandle) throws(RoostError) -> Bool
  /// Seconds between the recordings of two events that have completed.
  func seconds(from start: DriverHandle, to end: DriverHandle) throws(RoostError) -> Double

  /// Makes memory that `allocate` gave openable in other processes.
  func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle
  /// Opens memory of another process.
  func importMemory(_ handle: SharedMemoryHandle) throws(RoostError) -> UInt
  /// Closes what `importMemory` opened.
  func closeImported(_ address: UInt) throws(RoostError)

  /// Reads from a file into device memory. See `Device`.
  func readFile(descriptor: CInt, fileOffset: Int, into address: UInt, byteCount: Int) throws(RoostError) -> Int
  /// Writes device memory to a file. See `Device`.
  func writeFile(descriptor: CInt, fileOffset: Int, from address: UInt, byteCount: Int) throws(RoostError)
  /// Joins a group of devices. See `Device`.
  func join(rank: Int, rankCount: Int, rendezvous: String) throws(RoostError) -> any DriverGroup

  /// Lets go of the device. Called once, last, by when everything made has been given back.
  func close() throws(RoostError)
}

extension DeviceDriver {
  /// No.
  public var knowsForeignStreams: Bool { false }

  @usableFromInline func missing(_ capability: String) -> RoostError {
    RoostError(.unsupported, "\(description.uri) (\(description.name)) does not offer \(capability)")
  }

  /// Refuses.
  public func copy(
    _ rows: StridedCopy, _ direction: CopyDirection, on stream: DriverHandle
  ) throws(RoostError) { throw missing("strided-copy") }

  /// Refuses.
  public func call(
    _ function: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void, _ context: UnsafeMutableRawPointer,
    on stream: DriverHandle
  ) throws(RoostError) { throw missing("host-callbacks") }

  /// Refuses.
  public func register(_ memory: HostMemory) throws(RoostError) { throw missing("host-registration") }

  /// Refuses.
  public func unregister(_ memory: HostMemory) throws(RoostError) { throw missing("host-registration") }

  /// Refuses.
  public func seconds(from start: DriverHandle, to end: DriverHandle) throws(RoostError) -> Double {
    throw missing("event-timing")
  }

  /// Refuses.
  public func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle {
    throw missing("inter-process-memory")
  }

  /// Refuses.
  public func importMemory(_ handle: SharedMemoryHandle) throws(RoostError) -> UInt {
    throw missing("inter-process-memory")
  }

  /// Refuses.
  public func readFile(
    descriptor: CInt, fileOffset: Int, into address: UInt, byteCount: Int
  ) throws(RoostError) -> Int { throw missing("direct-storage") }

  /// Refuses.
  public func writeFile(
    descriptor: CInt, fileOffset: Int, from address: UInt, byteCount: Int
  ) throws(RoostError) { throw missing("direct-storage") }

  /// Refuses.
  public func join(rank: Int, rankCount: Int, rendezvous: String) throws(RoostError) -> any DriverGroup {
    throw missing("collectives")
  }

  /// Refuses.
  public func closeImported(_ address: UInt) throws(RoostError) { throw missing("inter-process-memory") }
}
