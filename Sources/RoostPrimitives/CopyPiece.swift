/// One contiguous copy: where from, where to, how many bytes.
///
/// The layout algebra emits pieces with offsets, the transfer adds base addresses, a device copies them. Three 64-bit
/// words in this order; C shims and vendors' batch calls read arrays of it as raw memory.
public struct CopyPiece: Hashable, Sendable {
  /// Address or offset of the first byte to read.
  public var source: UInt
  /// Address or offset of the first byte to write.
  public var target: UInt
  /// How many bytes.
  public var byteCount: UInt

  /// Makes a piece.
  @inlinable public init(source: UInt, target: UInt, byteCount: UInt) {
    self.source = source
    self.target = target
    self.byteCount = byteCount
  }
}
