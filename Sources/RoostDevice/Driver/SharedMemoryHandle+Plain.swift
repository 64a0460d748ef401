import RoostPrimitives

/// Handles that are a plain structure of the vendor's.
extension SharedMemoryHandle {
  /// Wraps a structure without pointers.
  public init<Plain>(of plain: Plain, byteCount: Int) {
    self.init(bytes: withUnsafeBytes(of: plain) { Array($0) }, descriptor: -1, byteCount: byteCount)
  }

  /// Writes the bytes into such a structure.
  ///
  /// - Throws: `invalidInput` if there are not as many.
  public func unwrap<Plain>(into plain: inout Plain, vendor: String) throws(RoostError) {
    guard bytes.count == MemoryLayout<Plain>.size else {
      throw RoostError(.invalidInput, "this is no handle of \(vendor) device memory")
    }
    withUnsafeMutableBytes(of: &plain) { $0.copyBytes(from: bytes) }
  }
}
