import RoostPrimitives

/// An accelerator, the CPU, or the mock: memory, streams, events and copies.
///
/// **Who orders what.** A device orders operations within one stream, and across streams only where an event says so.
/// It never waits for anything on its own: whoever stores a page makes the stream wait for the event that wrote it,
/// whoever loads a page records an event for the compute to wait on, and whoever overwrites a page first waits for
/// the stores that read it. The device does not know pages.
///
/// **Who validates.** The caller guarantees that addresses lie in memory that is allocated or registered and stays so
/// until the stream has passed the operation; devices check what is cheap (null, overflow, foreign memory) and report
/// what nobody can foresee: out of memory, a failed copy, a lost device.
///
/// **Errors.** A failed operation makes its stream fail: later operations on the stream are skipped, and the first
/// error comes back from `query` and `wait`. `reset` on the stream clears it. Nothing that fails writes afterwards.
///
/// **Threads.** All methods may be called from any thread. None blocks on device work except `wait` and
/// `synchronize`, and these have deadlines.
public protocol Device: AnyObject, Sendable {
  /// What the device is and can do.
  var description: DeviceDescription { get }

  /// Device memory that nobody uses now, in bytes.
  var freeMemoryBytes: Int { get }

  /// Allocates device memory, aligned to at least 4 KiB. The content is undefined.
  ///
  /// - Throws: `outOfResources` if it does not fit, `invalidInput` if `byteCount` is not positive.
  func allocate(byteCount: Int) throws(RoostError) -> DeviceMemory

  /// Frees what `allocate` gave.
  ///
  /// - Throws: `stale` if it was freed before or never allocated here.
  func free(_ memory: DeviceMemory) throws(RoostError)

  /// Allocates host memory that the device copies fastest (page-locked where that exists).
  func allocateHost(byteCount: Int) throws(RoostError) -> HostMemory

  /// Frees what `allocateHost` gave.
  ///
  /// - Throws: `stale` if it was freed before or never allocated here.
  func freeHost(_ memory: HostMemory) throws(RoostError)

  /// Makes host memory that exists already (a chunk of the pool) fast to copy. May take long: call it chunk by chunk,
  /// off the hot path.
  ///
  /// - Throws: `outOfResources` if the system's limit on locked memory is reached; the memory stays usable, slower.
  func registerHost(_ memory: HostMemory) throws(RoostError)

  /// Undoes `registerHost`.
  ///
  /// - Throws: `stale` if the memory is not registered.
  func unregisterHost(_ memory: HostMemory) throws(RoostError)

  /// Makes an ordered stream of operations. Destroyed when the last reference goes, after its operations.
  func makeStream(priority: StreamPriority) throws(RoostError) -> any DeviceStream

  /// Makes an event that nobody has recorded.
  func makeEvent() throws(RoostError) -> any DeviceEvent

  /// An event that completes with everything that was given to a stream so far which is not of this object: the stream
  /// on which a model computes. `handle` is the stream as the vendor's functions take it; 0 may be its default stream.
  ///
  /// - Throws: `unsupported` where a stream of others means nothing.
  func mark(ofForeignStream handle: UInt) throws(RoostError) -> any DeviceEvent

  /// Waits until everything submitted to every stream before this call has ended.
  ///
  /// - Throws: `timedOut`, or the first error of a failed stream.
  func synchronize(until deadline: Deadline) throws(RoostError)

  /// Makes device memory openable in other processes. Needs `interProcessMemory`.
  func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle

  /// Opens memory that another process exported. Needs `interProcessMemory`.
  func importMemory(_ handle: SharedMemoryHandle) throws(RoostError) -> DeviceMemory

  /// Reads from a file into device memory. Needs `directStorage`. Returns the bytes read, fewer only at the file's end.
  func readFile(
    descriptor: CInt, fileOffset: Int, into address: UInt, byteCount: Int
  ) throws(RoostError) -> Int

  /// Writes device memory to a file. Needs `directStorage`. Returns when all bytes are written.
  func writeFile(descriptor: CInt, fileOffset: Int, from address: UInt, byteCount: Int) throws(RoostError)

  /// Joins a group of devices that reduce and gather together. Needs `collectives`.
  func makeCollective(rank: Int, rankCount: Int, rendezvous: String) throws(RoostError) -> any Collective
}

extension Device {
  /// Throws `unsupported`, naming the device and the capability, if the device lacks it.
  public func require(_ capability: Capabilities) throws(RoostError) {
    guard !description.capabilities.isSuperset(of: capability) else { return }
    let missing = capability.subtracting(description.capabilities)
    let names = Capabilities.names.filter { missing.contains($0.capability) }.map(\.name).joined(separator: ", ")
    throw RoostError(.unsupported, "\(description.uri) (\(description.name)) does not offer \(names)")
  }

  /// Refuses: nobody else has streams on the device.
  public func mark(ofForeignStream handle: UInt) throws(RoostError) -> any DeviceEvent {
    throw missing("streams of others")
  }

  /// Refuses: the device does not offer `interProcessMemory`.
  public func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle {
    throw missing("inter-process-memory")
  }

  /// Refuses: the device does not offer `interProcessMemory`.
  public func importMemory(_ handle: SharedMemoryHandle) throws(RoostError) -> DeviceMemory {
    throw missing("inter-process-memory")
  }

  /// Refuses: the device does not offer `directStorage`.
  public func readFile(
    descriptor: CInt, fileOffset: Int, into address: UInt, byteCount: Int
  ) throws(RoostError) -> Int {
    throw missing("direct-storage")
  }

  /// Refuses: the device does not offer `directStorage`.
  public func writeFile(
    descriptor: CInt, fileOffset: Int, from address: UInt, byteCount: Int
  ) throws(RoostError) {
    throw missing("direct-storage")
  }

  /// Refuses: the device does not offer `collectives`.
  public func makeCollective(rank: Int, rankCount: Int, rendezvous: String) throws(RoostError) -> any Collective {
    throw missing("collectives")
  }

  private func missing(_ capability: String) -> RoostError {
    RoostError(.unsupported, "\(description.uri) (\(description.name)) does not offer \(capability)")
  }
}
