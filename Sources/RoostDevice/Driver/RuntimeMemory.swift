import RoostPrimitives

/// A runtime whose memory is asked for in one call and is a pointer.
public protocol PlainRuntimeDriver: RuntimeDriver {
  /// What the runtime calls its functions of memory.
  var memory: RuntimeMemory<Functions> { get }
  /// The host memory that the device knows.
  var ranges: HostRanges { get }
}

/// A function of a runtime, with its name. A structure, because the compiler (6.3.1) crashes over closures in tuples.
public struct RuntimeFunction<Call: Sendable>: Sendable {
  /// What the function is called, without the prefix.
  public let name: String
  /// Calls it.
  public let call: Call
}

/// A runtime's functions of memory, each with its name without the prefix.
public struct RuntimeMemory<Functions>: Sendable {
  /// Writes the address of so many bytes.
  public typealias Making =
    @Sendable (
      UnsafePointer<Functions>, UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ byteCount: Int
    ) -> CInt
  /// Takes an address.
  public typealias OnAddress = @Sendable (UnsafePointer<Functions>, UnsafeMutableRawPointer?) -> CInt
  /// Takes a range of host memory.
  public typealias OnRange = @Sendable (UnsafePointer<Functions>, UnsafeMutableRawPointer?, _ byteCount: Int) -> CInt

  /// Makes device memory.
  public var allocate: RuntimeFunction<Making>
  /// Gives it back.
  public var free: RuntimeFunction<OnAddress>
  /// Makes page-locked host memory.
  public var allocateHost: RuntimeFunction<Making>
  /// Gives it back.
  public var freeHost: RuntimeFunction<OnAddress>
  /// Page-locks host memory.
  public var register: RuntimeFunction<OnRange>
  /// Unlocks it.
  public var unregister: RuntimeFunction<OnAddress>

  /// Names the functions.
  public init(
    allocate: (String, Making), free: (String, OnAddress), allocateHost: (String, Making),
    freeHost: (String, OnAddress), register: (String, OnRange), unregister: (String, OnAddress)
  ) {
    self.allocate = RuntimeFunction(name: allocate.0, call: allocate.1)
    self.free = RuntimeFunction(name: free.0, call: free.1)
    self.allocateHost = RuntimeFunction(name: allocateHost.0, call: allocateHost.1)
    self.freeHost = RuntimeFunction(name: freeHost.0, call: freeHost.1)
    self.register = RuntimeFunction(name: register.0, call: register.1)
    self.unregister = RuntimeFunction(name: unregister.0, call: unregister.1)
  }
}

extension CopyDirection {
  /// What most runtimes call it, whose calls do not tell it by the addresses.
  @inlinable public var runtimeKind: CInt {
    switch self {
    case .hostToDevice: 1
    case .deviceToHost: 2
    case .deviceToDevice: 3
    }
  }
}

extension PlainRuntimeDriver {
  /// See `DeviceDriver`.
  public func allocate(byteCount: Int) throws(RoostError) -> UInt {
    var address: UnsafeMutableRawPointer?
    try call(memory.allocate.name) { memory.allocate.call($0, &address, byteCount) }
    return UInt(bitPattern: address)
  }

  /// Frees; most runtimes first wait for the whole device.
  public func free(_ address: UInt) throws(RoostError) {
    try call(memory.free.name) { memory.free.call($0, pointer(address)) }
  }

  /// See `DeviceDriver`.
  public func allocateHost(byteCount: Int) throws(RoostError) -> UInt {
    var address: UnsafeMutableRawPointer?
    try call(memory.allocateHost.name) { memory.allocateHost.call($0, &address, byteCount) }
    let start = UInt(bitPattern: address)
    ranges.add(start..<start + UInt(byteCount))
    return start
  }

  /// See `DeviceDriver`.
  public func freeHost(_ address: UInt) throws(RoostError) {
    try call(memory.freeHost.name) { memory.freeHost.call($0, pointer(address)) }
    ranges.remove(startingAt: address)
  }

  /// See `DeviceDriver`.
  public func register(_ host: HostMemory) throws(RoostError) {
    try call(memory.register.name) { memory.register.call($0, pointer(host.address), host.byteCount) }
    ranges.add(host.address..<host.address + UInt(host.byteCount))
  }

  /// See `DeviceDriver`.
  public func unregister(_ host: HostMemory) throws(RoostError) {
    try call(memory.unregister.name) { memory.unregister.call($0, pointer(host.address)) }
    ranges.remove(startingAt: host.address)
  }
}
