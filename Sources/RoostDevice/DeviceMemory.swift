/// A range of device memory. A plain value: it owns nothing and may be copied; free it once, through its device.
public struct DeviceMemory: Hashable, Sendable {
  /// The device address of the first byte; dereferenced by the host only with `hostAddressable`.
  public let address: UInt
  /// The size.
  public let byteCount: Int

  /// Names a range.
  public init(address: UInt, byteCount: Int) {
    self.address = address
    self.byteCount = byteCount
  }
}

/// A range of host memory. A plain value: it owns nothing.
public struct HostMemory: Hashable, Sendable {
  /// The host address of the first byte.
  public let address: UInt
  /// The size.
  public let byteCount: Int

  /// Names a range.
  public init(address: UInt, byteCount: Int) {
    self.address = address
    self.byteCount = byteCount
  }

  /// The range as raw memory.
  public var bytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(bitPattern: address), count: byteCount)
  }
}

/// What another process needs to open device memory: opaque bytes, and a file descriptor where the device passes one.
public struct SharedMemoryHandle: Sendable {
  /// Opaque to everybody but the device that made it.
  public let bytes: [UInt8]
  /// A descriptor that the receiver must be sent over a Unix socket, or -1. Owned by whoever holds the handle.
  public let descriptor: CInt
  /// The size of the memory.
  public let byteCount: Int

  /// Wraps a handle.
  public init(bytes: [UInt8], descriptor: CInt, byteCount: Int) {
    self.bytes = bytes
    self.descriptor = descriptor
    self.byteCount = byteCount
  }
}
