import Glibc
import RoostDevice
import RoostPrimitives

/// A kind of device in one configuration, for `DeviceSuite`.
public struct DeviceSubject: Sendable, CustomStringConvertible {
  /// Holds a stream up before its next operation; what it returns lets it go on.
  public typealias Hold = @Sendable (any Device, any DeviceStream) throws(RoostError) -> (@Sendable () -> Void)

  /// Names the configuration.
  public var name: String
  /// Opens a device; `unsupported` if this machine does not have it.
  public var open: @Sendable () throws(RoostError) -> any Device
  /// Holds a stream up by whatever means the device has; nil: there are none, and what needs them is not checked.
  public var hold: Hold?
  /// What is known of it.
  public var exceptions: [ConformanceException]

  /// Describes a subject.
  public init(
    _ name: String, exceptions: [ConformanceException] = [], hold: Hold? = nil,
    open: @escaping @Sendable () throws(RoostError) -> any Device
  ) {
    self.name = name
    self.open = open
    self.hold = hold
    self.exceptions = exceptions
  }

  /// The name.
  public var description: String { name }
}

/// A device in the hands of one check: takes memory and gives it back, moves bytes in and out.
public final class DeviceTrial: ConformanceTrial {
  /// What is wrong.
  public let findings = Findings()
  /// The device.
  public let device: any Device
  let holdStream: DeviceSubject.Hold?
  private var memories: [DeviceMemory] = []
  private var hostMemories: [HostMemory] = []
  private var carrier: (any DeviceStream)?

  /// Opens a subject.
  public init(_ subject: DeviceSubject) throws(RoostError) {
    device = try subject.open()
    holdStream = subject.hold
  }

  /// Waits for the device and frees all memory.
  public func end() {
    // A stream that the check made fail, or a device that has hung, has been reported; the rest is tidying up.
    try? device.synchronize(until: patience)
    for memory in memories { try? device.free(memory) }
    for memory in hostMemories { try? device.freeHost(memory) }
  }

  /// A deadline that only a hang reaches.
  var patience: Deadline { .after(seconds: 30) }

  /// A deadline that a held stream reaches at once.
  var instant: Deadline { .after(seconds: 0.002) }

  var capabilities: Capabilities { device.description.capabilities }

  func expect(_ condition: Bool, _ complaint: @autoclosure () -> String, line: UInt = #line) {
    findings.expect(condition, complaint(), line: line)
  }

  /// Asks a stream until it is not busy any more; false if it has failed then, or is busy for ever.
  func becomesIdle(_ stream: any DeviceStream) -> Bool {
    let deadline = patience
    while stream.query().isBusy, !deadline.hasPassed() {}
    return stream.query().isIdle
  }

  func expectError(
    _ code: RoostError.Code, _ what: String, line: UInt = #line, _ body: () throws(RoostError) -> Void
  ) {
    findings.expectError(code, what, line: line, body)
  }

  /// Holds a stream up.
  func hold(_ stream: any DeviceStream) throws(RoostError) -> @Sendable () -> Void {
    guard let holdStream else { throw RoostError(.unsupported, "this device's streams cannot be held") }
    return try holdStream(device, stream)
  }

  // MARK: - Memory

  /// Device memory, freed in the end.
  func deviceMemory(_ byteCount: Int) throws(RoostError) -> DeviceMemory {
    let memory = try device.allocate(byteCount: byteCount)
    memories.append(memory)
    return memory
  }

  /// Host memory that the device copies well, filled from a seed, freed in the end.
  func hostBytes(_ byteCount: Int, seed: UInt64) throws(RoostError) -> UnsafeMutableRawBufferPointer {
    let memory = try device.allocateHost(byteCount: byteCount)
    hostMemories.append(memory)
    DeviceTrial.fill(memory.bytes, seed: seed)
    return memory.bytes
  }

  /// Device memory with the bytes of a seed in it.
  func deviceMemory(_ byteCount: Int, seed: UInt64) throws(RoostError) -> DeviceMemory {
    let memory = try deviceMemory(byteCount)
    let bytes = try hostBytes(byteCount, seed: seed)
    try carry(CopyPiece(source: bytes.address, target: memory.address, byteCount: UInt(byteCount)), .hostToDevice)
    return memory
  }

  /// What device memory holds now, by way of a stream of the trial's own.
  func contents(_ memory: DeviceMemory) throws(RoostError) -> UnsafeMutableRawBufferPointer {
    let bytes = try hostBytes(memory.byteCount, seed: 0)
    let count = UInt(memory.byteCount)
    try carry(CopyPiece(source: memory.address, target: bytes.address, byteCount: count), .deviceToHost)
    return bytes
  }

  private func carry(_ piece: CopyPiece, _ direction: CopyDirection) throws(RoostError) {
    let stream: any DeviceStream
    if let carrier { stream = carrier } else { stream = try device.makeStream(priority: .normal) }
    carrier = stream
    try stream.copy(piece, direction)
    try stream.wait(until: patience)
  }

  /// Fills memory from a seed.
  static func fill(_ bytes: UnsafeMutableRawBufferPointer, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var offset = 0
    while offset + 8 <= bytes.count {
      bytes.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
      offset += 8
    }
    for rest in offset..<max(offset, bytes.count) { bytes[rest] = UInt8(truncatingIfNeeded: random.next()) }
  }
}

extension UnsafeMutableRawBufferPointer {
  /// The address of the first byte.
  var address: UInt { UInt(bitPattern: baseAddress) }

  /// Whether both hold the same bytes.
  func equals(_ other: UnsafeMutableRawBufferPointer) -> Bool {
    guard let start = baseAddress, let otherStart = other.baseAddress else { return count == other.count }
    return count == other.count && memcmp(start, otherStart, count) == 0
  }

  /// The bytes of a range.
  func part(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: self[range])
  }
}

extension DeviceStream {
  /// A batch from an array.
  func copy(_ pieces: [CopyPiece], _ direction: CopyDirection) throws(RoostError) {
    try pieces.withUnsafeBufferPointer { buffer throws(RoostError) in
      try self.copy(buffer, direction)
    }
  }
}
