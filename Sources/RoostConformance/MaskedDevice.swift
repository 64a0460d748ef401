import RoostDevice
import RoostPrimitives

/// A device that hides some of another one's capabilities, and refuses what they allow: so that on one machine every
/// way to do without them is tested. Thread-safe.
public final class MaskedDevice: Device {
  /// The other device's, but for the hidden capabilities.
  public let description: DeviceDescription
  private let device: any Device

  /// Hides capabilities of a device.
  public init(_ device: any Device, hiding hidden: Capabilities) {
    self.device = device
    var description = device.description
    description.capabilities.subtract(hidden)
    self.description = description
  }

  /// The other device's.
  public var freeMemoryBytes: Int { device.freeMemoryBytes }
  /// The other device's.
  public func allocate(byteCount: Int) throws(RoostError) -> DeviceMemory { try device.allocate(byteCount: byteCount) }
  /// The other device's.
  public func free(_ memory: DeviceMemory) throws(RoostError) { try device.free(memory) }
  /// The other device's.
  public func allocateHost(byteCount: Int) throws(RoostError) -> HostMemory {
    try device.allocateHost(byteCount: byteCount)
  }
  /// The other device's.
  public func freeHost(_ memory: HostMemory) throws(RoostError) { try device.freeHost(memory) }

  /// The other device's, unless it is hidden.
  public func registerHost(_ memory: HostMemory) throws(RoostError) {
    try require(.hostRegistration)
    try device.registerHost(memory)
  }

  /// The other device's, unless it is hidden.
  public func unregisterHost(_ memory: HostMemory) throws(RoostError) {
    try require(.hostRegistration)
    try device.unregisterHost(memory)
  }

  /// A stream that refuses what is hidden.
  public func makeStream(priority: StreamPriority) throws(RoostError) -> any DeviceStream {
    MaskedStream(try device.makeStream(priority: priority), of: self)
  }

  /// An event that refuses what is hidden.
  public func makeEvent() throws(RoostError) -> any DeviceEvent { MaskedEvent(try device.makeEvent(), of: self) }

  /// The other device's.
  public func synchronize(until deadline: Deadline) throws(RoostError) { try device.synchronize(until: deadline) }

  /// The other device's, unless it is hidden.
  public func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle {
    try require(.interProcessMemory)
    return try device.exportMemory(memory)
  }

  /// The other device's, unless it is hidden.
  public func importMemory(_ handle: SharedMemoryHandle) throws(RoostError) -> DeviceMemory {
    try require(.interProcessMemory)
    return try device.importMemory(handle)
  }

  /// The other device's, unless it is hidden.
  public func readFile(
    descriptor: CInt, fileOffset: Int, into address: UInt, byteCount: Int
  ) throws(RoostError) -> Int {
    try require(.directStorage)
    return try device.readFile(descriptor: descriptor, fileOffset: fileOffset, into: address, byteCount: byteCount)
  }

  /// The other device's, unless it is hidden.
  public func writeFile(
    descriptor: CInt, fileOffset: Int, from address: UInt, byteCount: Int
  ) throws(RoostError) {
    try require(.directStorage)
    try device.writeFile(descriptor: descriptor, fileOffset: fileOffset, from: address, byteCount: byteCount)
  }

  /// The other device's, unless it is hidden.
  public func makeCollective(rank: Int, rankCount: Int, rendezvous: String) throws(RoostError) -> any Collective {
    try require(.collectives)
    return MaskedCollective(try device.makeCollective(rank: rank, rankCount: rankCount, rendezvous: rendezvous))
  }
}

/// A collective that takes masked streams.
final class MaskedCollective: Collective {
  private let unmasked: any Collective

  init(_ collective: any Collective) { unmasked = collective }

  var rank: Int { unmasked.rank }
  var rankCount: Int { unmasked.rankCount }

  func allReduceSum(address: UInt, count: Int, on stream: any DeviceStream) throws(RoostError) {
    try unmasked.allReduceSum(address: address, count: count, on: (stream as? MaskedStream)?.unmasked ?? stream)
  }

  func allGather(source: UInt, target: UInt, byteCount: Int, on stream: any DeviceStream) throws(RoostError) {
    try unmasked.allGather(
      source: source, target: target, byteCount: byteCount, on: (stream as? MaskedStream)?.unmasked ?? stream)
  }
}

/// A stream of a masked device.
public final class MaskedStream: DeviceStream {
  /// The other device's stream.
  public let unmasked: any DeviceStream
  private let device: MaskedDevice

  init(_ stream: any DeviceStream, of device: MaskedDevice) {
    unmasked = stream
    self.device = device
  }

  /// The other stream's.
  public var priority: StreamPriority { unmasked.priority }

  /// The other stream's.
  public func copy(_ piece: CopyPiece, _ direction: CopyDirection) throws(RoostError) {
    try unmasked.copy(piece, direction)
  }

  /// The other stream's.
  public func copy(_ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection) throws(RoostError) {
    try unmasked.copy(pieces, direction)
  }

  /// The other stream's, unless it is hidden.
  public func copy(_ rows: StridedCopy, _ direction: CopyDirection) throws(RoostError) {
    try device.require(.stridedCopy)
    try unmasked.copy(rows, direction)
  }

  /// The other stream's.
  public func record(_ event: any DeviceEvent) throws(RoostError) {
    try unmasked.record((event as? MaskedEvent)?.unmasked ?? event)
  }

  /// The other stream's.
  public func wait(for event: any DeviceEvent) throws(RoostError) {
    try unmasked.wait(for: (event as? MaskedEvent)?.unmasked ?? event)
  }

  /// The other stream's, unless it is hidden.
  public func enqueue(_ action: @escaping @Sendable () -> Void) throws(RoostError) {
    try device.require(.hostCallbacks)
    try unmasked.enqueue(action)
  }

  /// The other stream's.
  public func query() -> StreamStatus { unmasked.query() }
  /// The other stream's.
  public func wait(until deadline: Deadline) throws(RoostError) { try unmasked.wait(until: deadline) }
  /// The other stream's.
  public func reset() { unmasked.reset() }
}

/// An event of a masked device.
final class MaskedEvent: DeviceEvent {
  let unmasked: any DeviceEvent
  private let device: MaskedDevice

  init(_ event: any DeviceEvent, of device: MaskedDevice) {
    unmasked = event
    self.device = device
  }

  var isComplete: Bool { unmasked.isComplete }

  func wait(until deadline: Deadline) throws(RoostError) { try unmasked.wait(until: deadline) }

  func secondsSince(_ start: any DeviceEvent) throws(RoostError) -> Double {
    try device.require(.eventTiming)
    return try unmasked.secondsSince((start as? MaskedEvent)?.unmasked ?? start)
  }
}
