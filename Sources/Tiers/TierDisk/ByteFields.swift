/// Little-endian numbers at fixed places of raw memory: the formats on disk.
struct ByteFields {
  let start: UnsafeMutableRawPointer

  init(_ start: UnsafeMutableRawPointer) { self.start = start }

  func put<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number, at offset: Int) {
    start.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Number.self)
  }

  func get<Number: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: Number.Type = Number.self) -> Number {
    Number(littleEndian: start.loadUnaligned(fromByteOffset: offset, as: Number.self))
  }

  /// Four words that are bytes in memory order, and so the same on every machine.
  func putBytes(_ words: (UInt64, UInt64, UInt64, UInt64), at offset: Int) {
    withUnsafeBytes(of: words) {
      (start + offset).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(start), byteCount: 32)
    }
  }

  func getBytes(_ offset: Int) -> (UInt64, UInt64, UInt64, UInt64) {
    start.loadUnaligned(fromByteOffset: offset, as: (UInt64, UInt64, UInt64, UInt64).self)
  }
}
