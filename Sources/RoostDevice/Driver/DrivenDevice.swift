import RoostPrimitives

/// A device made of a vendor's raw calls. Everything that the contract of `Device` promises beyond them is here, once
/// for all vendors. Thread-safe.
public final class DrivenDevice<Driver: DeviceDriver>: Device {
  private let session: DriverSession
  /// The vendor's own calls, for what the contract does not cover.
  public let driver: Driver

  /// Takes a driver over; it is closed when the device, its streams and its events are gone.
  public init(_ driver: Driver) {
    self.driver = driver
    session = DriverSession(driver)
  }

  /// What the driver says.
  public var description: DeviceDescription { session.description }

  /// What the driver says; 0 once the device is lost.
  public var freeMemoryBytes: Int {
    let free = try? session.ask { (driver) throws(RoostError) in try driver.freeMemoryBytes() }
    return min(max(free ?? 0, 0), description.memoryBytes)
  }

  // MARK: - Memory

  /// Allocates, and rounds the address up where the vendor aligns to less than 4 KiB. See `Device`.
  public func allocate(byteCount: Int) throws(RoostError) -> DeviceMemory {
    try session.memories.check(byteCount, limit: description.memoryBytes, "device memory")
    var base = try session.ask { (driver) throws(RoostError) in try driver.allocate(byteCount: byteCount) }
    var address = base
    if base % Limits.alignment != 0 {
      try giveBack(base)
      let padded = byteCount + Int(Limits.alignment) - 1
      base = try session.ask { (driver) throws(RoostError) in try driver.allocate(byteCount: padded) }
      address = (base + Limits.alignment - 1) / Limits.alignment * Limits.alignment
    }
    session.memories.add(address, base: base)
    return DeviceMemory(address: address, byteCount: byteCount)
  }

  /// Frees what nobody was given. If that fails, it is freed with the device.
  private func giveBack(_ base: UInt) throws(RoostError) {
    do throws(RoostError) {
      try session.ask { (driver) throws(RoostError) in try driver.free(base) }
    } catch {
      session.memories.add(base, base: base)
      throw error
    }
  }

  /// Frees, or closes what was imported. See `Device`.
  public func free(_ memory: DeviceMemory) throws(RoostError) {
    let (base, isImported) = try session.memories.remove(memory.address)
    do throws(RoostError) {
      try session.ask { (driver) throws(RoostError) in
        isImported ? try driver.closeImported(base) : try driver.free(base)
      }
    } catch {
      // The driver still has it: whoever asks again may have better luck.
      session.memories.add(memory.address, base: base, isImported: isImported)
      throw error
    }
  }

  /// Allocates page-locked memory. See `Device`.
  public func allocateHost(byteCount: Int) throws(RoostError) -> HostMemory {
    try session.memories.check(byteCount, limit: DriverMemories.hostMemoryBytes, "host memory")
    let address = try session.ask { (driver) throws(RoostError) in try driver.allocateHost(byteCount: byteCount) }
    session.memories.addHost(address)
    return HostMemory(address: address, byteCount: byteCount)
  }

  /// Frees it. See `Device`.
  public func freeHost(_ memory: HostMemory) throws(RoostError) {
    try session.memories.removeHost(memory.address)
    do throws(RoostError) {
      try session.ask { (driver) throws(RoostError) in try driver.freeHost(memory.address) }
    } catch {
      session.memories.addHost(memory.address)
      throw error
    }
  }

  /// Page-locks. See `Device`.
  public func registerHost(_ memory: HostMemory) throws(RoostError) {
    try require(.hostRegistration)
    try session.memories.register(memory)
    do throws(RoostError) {
      try session.ask { (driver) throws(RoostError) in try driver.register(memory) }
    } catch {
      try session.memories.unregister(memory)
      throw error
    }
  }

  /// Unlocks. See `Device`.
  public func unregisterHost(_ memory: HostMemory) throws(RoostError) {
    try require(.hostRegistration)
    try session.memories.unregister(memory)
    do throws(RoostError) {
      try session.ask { (driver) throws(RoostError) in try driver.unregister(memory) }
    } catch {
      try session.memories.register(memory)
      throw error
    }
  }

  // MARK: - Streams and events

  /// Makes a stream of the driver's.
  public func makeStream(priority: StreamPriority) throws(RoostError) -> any DeviceStream {
    let handle = try session.ask { (driver) throws(RoostError) in try driver.makeStream(priority: priority) }
    let stream = DrivenStream(handle, priority: priority, of: session)
    session.add(stream)
    return stream
  }

  /// Makes an event of the driver's.
  public func makeEvent() throws(RoostError) -> any DeviceEvent {
    DrivenEvent(try session.ask { (driver) throws(RoostError) in try driver.makeEvent() }, of: session)
  }

  /// Records an event of the driver's on the other stream. See `Device`.
  public func mark(ofForeignStream handle: UInt) throws(RoostError) -> any DeviceEvent {
    guard driver.knowsForeignStreams else {
      throw RoostError(.unsupported, "\(description.uri) (\(description.name)) does not offer streams of others")
    }
    let made = try session.ask { (driver) throws(RoostError) in try driver.makeEvent() }
    let event = DrivenEvent(made, of: session)
    let mark = event.noteRecording()
    try session.ask { (driver) throws(RoostError) in try driver.record(mark, on: handle) }
    return event
  }

  /// Waits for the streams one after another.
  public func synchronize(until deadline: Deadline) throws(RoostError) {
    var failure: RoostError?
    for stream in session.liveStreams {
      do throws(RoostError) {
        try stream.wait(until: deadline)
      } catch {
        if error.code == .timedOut { throw error }
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  // MARK: - Sharing

  /// Exports the driver's allocation and where in it the memory lies. See `Device`.
  public func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle {
    try require(.interProcessMemory)
    let base = try session.memories.base(of: memory.address)
    let offset = memory.address - base
    let handle = try session.ask { (driver) throws(RoostError) in
      try driver.exportMemory(DeviceMemory(address: base, byteCount: memory.byteCount + Int(offset)))
    }
    let bytes = withUnsafeBytes(of: UInt64(offset).littleEndian) { Array($0) } + handle.bytes
    return SharedMemoryHandle(bytes: bytes, descriptor: handle.descriptor, byteCount: memory.byteCount)
  }

  /// Opens memory of another process; `free` closes it. See `Device`.
  public func importMemory(_ handle: SharedMemoryHandle) throws(RoostError) -> DeviceMemory {
    try require(.interProcessMemory)
    guard handle.bytes.count >= 8, handle.byteCount > 0 else {
      throw RoostError(.invalidInput, "this is no handle of device memory")
    }
    let offset = UInt(handle.bytes[0..<8].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) })
    guard offset < Limits.alignment else { throw RoostError(.invalidInput, "this is no handle of device memory") }
    let inner = SharedMemoryHandle(
      bytes: Array(handle.bytes[8...]), descriptor: handle.descriptor, byteCount: handle.byteCount + Int(offset))
    let base = try session.ask { (driver) throws(RoostError) in try driver.importMemory(inner) }
    session.memories.add(base + offset, base: base, isImported: true)
    return DeviceMemory(address: base + offset, byteCount: handle.byteCount)
  }

  // MARK: - Files and groups

  /// Reads by the driver's own means. See `Device`.
  public func readFile(
    descriptor: CInt, fileOffset: Int, into address: UInt, byteCount: Int
  ) throws(RoostError) -> Int {
    try require(.directStorage)
    // Not asked through the session: what is lost here is a file, or a member of a group, and not the device.
    if let loss = session.lossIfAny { throw loss }
    return try driver.readFile(descriptor: descriptor, fileOffset: fileOffset, into: address, byteCount: byteCount)
  }

  /// Writes by the driver's own means. See `Device`.
  public func writeFile(
    descriptor: CInt, fileOffset: Int, from address: UInt, byteCount: Int
  ) throws(RoostError) {
    try require(.directStorage)
    if let loss = session.lossIfAny { throw loss }
    try driver.writeFile(descriptor: descriptor, fileOffset: fileOffset, from: address, byteCount: byteCount)
  }

  /// Joins a group by the driver's own means; waits for the others. See `Device`.
  public func makeCollective(rank: Int, rankCount: Int, rendezvous: String) throws(RoostError) -> any Collective {
    try require(.collectives)
    if let loss = session.lossIfAny { throw loss }
    let group = try driver.join(rank: rank, rankCount: rankCount, rendezvous: rendezvous)
    return DrivenCollective(group, rank: rank, of: rankCount, in: session)
  }
}
