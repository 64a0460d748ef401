import CRoostABI
import RoostPrimitives

/// Looks at what a caller passed before anything is made of it.
enum Arguments {
  /// A pointer that must be there and aligned.
  static func required<Value>(
    _ pointer: UnsafePointer<Value>?, _ name: StaticString
  ) throws(RoostError) -> UnsafePointer<Value> {
    guard let pointer else { throw missing(name) }
    guard UInt(bitPattern: pointer) % UInt(MemoryLayout<Value>.alignment) == 0 else { throw misaligned(name) }
    return pointer
  }

  /// The same for a pointer to what is to be written.
  static func required<Value>(
    _ pointer: UnsafeMutablePointer<Value>?, _ name: StaticString
  ) throws(RoostError) -> UnsafeMutablePointer<Value> {
    guard let pointer else { throw missing(name) }
    guard UInt(bitPattern: pointer) % UInt(MemoryLayout<Value>.alignment) == 0 else { throw misaligned(name) }
    return pointer
  }

  /// A pointer that may be null, but must be aligned.
  static func optional<Value>(
    _ pointer: UnsafeMutablePointer<Value>?, _ name: StaticString
  ) throws(RoostError) -> UnsafeMutablePointer<Value>? {
    if pointer == nil { return nil }
    return try required(pointer, name)
  }

  /// A structure that begins with its size.
  static func structure<Value>(
    _ pointer: UnsafePointer<Value>?, _ name: StaticString
  ) throws(RoostError) -> Value {
    let pointer = try required(pointer, name)
    _ = try stride(of: UnsafeRawPointer(pointer), Value.self, name)
    return pointer.pointee
  }

  /// An array of structures; the first one's size counts for all.
  static func structures<Value>(
    _ pointer: UnsafePointer<Value>?, count: Int, max: Int, _ name: StaticString
  ) throws(RoostError) -> [Value] {
    guard count != 0 else { return [] }
    // A size that is too large for a Swift integer is negative here.
    guard 0...max ~= count else { throw tooMany(name, count, max) }
    let first = try required(pointer, name)
    let stride = try stride(of: UnsafeRawPointer(first), Value.self, name)
    return (0..<count).map { (UnsafeRawPointer(first) + $0 * stride).load(as: Value.self) }
  }

  /// Where the elements of an out array lie, and how far apart.
  struct OutArray<Value> {
    var start: UnsafeMutableRawPointer?
    var stride: Int
    var capacity: Int

    /// Writes an element but for its size, which is the caller's.
    func write(_ value: Value, at index: Int) {
      guard let start else { return }
      let target = start + index * stride
      let size = target.load(as: Int.self)
      target.storeBytes(of: value, as: Value.self)
      target.storeBytes(of: index == 0 ? size : stride, as: Int.self)
    }
  }

  static func outArray<Value>(
    _ pointer: UnsafeMutablePointer<Value>?, capacity: Int, _ name: StaticString
  ) throws(RoostError) -> OutArray<Value> {
    guard capacity > 0 else {
      guard capacity == 0 else { throw tooMany(name, capacity, Limits.answerCountMax) }
      return OutArray(start: nil, stride: 0, capacity: 0)
    }
    let pointer = try required(pointer, name)
    let stride = try stride(of: UnsafeRawPointer(pointer), Value.self, name)
    return OutArray(
      start: UnsafeMutableRawPointer(pointer), stride: stride, capacity: min(capacity, Limits.answerCountMax))
  }

  private static func stride<Value>(
    of pointer: UnsafeRawPointer, _ type: Value.Type, _ name: StaticString
  ) throws(RoostError) -> Int {
    let size = pointer.load(as: Int.self)
    guard size >= MemoryLayout<Value>.size, size <= Limits.structBytesMax,
      size % MemoryLayout<Value>.alignment == 0
    else {
      throw RoostError(
        .invalidInput, "\(name).struct_bytes is \(size); set it to the size of the struct, \(MemoryLayout<Value>.size)")
    }
    return size
  }

  /// Text of a given length.
  static func text(
    _ pointer: UnsafePointer<CChar>?, byteCount: Int, _ name: StaticString
  ) throws(RoostError) -> String {
    guard 0...Limits.textByteCountMax ~= byteCount else { throw tooMany(name, byteCount, Limits.textByteCountMax) }
    guard byteCount > 0 else { return "" }
    guard let pointer else { throw missing(name) }
    let bytes = UnsafeRawBufferPointer(start: pointer, count: byteCount)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw RoostError(.invalidInput, "\(name) is not UTF-8")
    }
    return text
  }

  /// Text up to its zero.
  static func text(_ pointer: UnsafePointer<CChar>?, _ name: StaticString) throws(RoostError) -> String {
    guard let pointer else { throw missing(name) }
    var length = 0
    while length <= Limits.textByteCountMax, pointer[length] != 0 { length += 1 }
    return try text(pointer, byteCount: length, name)
  }

  /// Writes text with its zero to the caller's buffer; `out_bytes` is told the length also when it does not fit.
  static func answer(
    _ text: String, _ outText: UnsafeMutablePointer<CChar>?, _ textBytes: Int, _ outBytes: UnsafeMutablePointer<Int>?
  ) throws(RoostError) {
    let outBytes = try optional(outBytes, "out_bytes")
    let bytes = Array(text.utf8CString)
    outBytes?.pointee = bytes.count - 1
    guard textBytes >= bytes.count else {
      throw RoostError(.outOfResources, "the text needs \(bytes.count) bytes, not \(textBytes)")
    }
    try required(outText, "out_text").update(from: bytes, count: bytes.count)
  }

  /// Raw bytes of a given length.
  static func bytes(
    _ pointer: UnsafeRawPointer?, count: Int, max: Int, _ name: StaticString
  ) throws(RoostError) -> UnsafeRawBufferPointer {
    guard 0...max ~= count else { throw tooMany(name, count, max) }
    guard count > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    guard let pointer else { throw missing(name) }
    let end = UInt(bitPattern: pointer).addingReportingOverflow(UInt(count))
    guard !end.overflow else { throw RoostError(.invalidInput, "\(name) reaches beyond the end of memory") }
    return UnsafeRawBufferPointer(start: pointer, count: count)
  }

  /// A moment so many seconds from now; no number counts as 0.
  static func deadline(_ seconds: Double) -> Deadline {
    .after(seconds: seconds.isNaN ? 0 : min(seconds, Limits.timeoutSecondsMax))
  }

  static func missing(_ name: StaticString) -> RoostError { RoostError(.invalidInput, "\(name) is null") }

  static func misaligned(_ name: StaticString) -> RoostError { RoostError(.invalidInput, "\(name) is misaligned") }

  static func tooMany(_ name: StaticString, _ count: Int, _ max: Int) -> RoostError {
    RoostError(.invalidInput, "\(name) has \(count) elements or bytes; 0 to \(max) are allowed")
  }
}
