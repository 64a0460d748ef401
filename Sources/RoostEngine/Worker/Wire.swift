/// Appends little-endian integers to a byte array.
struct WireWriter {
  private(set) var bytes: [UInt8] = []

  mutating func put<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func put(bytes more: UnsafeRawBufferPointer) { bytes.append(contentsOf: more) }
}

/// Takes little-endian integers from bytes that a peer sent; every read checks what is left.
struct WireReader {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }

  mutating func take<Value: FixedWidthInteger>(_ type: Value.Type) -> Value? {
    guard let raw = take(byteCount: MemoryLayout<Value>.size) else { return nil }
    return Value(littleEndian: raw.loadUnaligned(as: Value.self))
  }

  mutating func take(byteCount: Int) -> UnsafeRawBufferPointer? {
    guard byteCount >= 0, bytes.count - position >= byteCount else { return nil }
    defer { position += byteCount }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<position + byteCount])
  }

  /// A 32-bit count of items of `stride` bytes each, refused if the message is too short to hold them, so that a
  /// hostile count never allocates more than the message's own size.
  mutating func takeCount(stride: Int) -> Int? {
    guard let count = take(UInt32.self), Int(count) <= (bytes.count - position) / stride else { return nil }
    return Int(count)
  }
}
