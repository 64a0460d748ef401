import CXXHash

/// XXH3-128 over a whole slot: made once, when every writer has reported, and checked wherever the page has been out
/// of sight. It finds damage, not forgery.
public struct Seal: Hashable, Sendable {
  /// The low 64 bits.
  public var low: UInt64
  /// The high 64 bits.
  public var high: UInt64

  /// Wraps 128 bits.
  public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  /// The seal of some bytes. About 20 GB/s on one core: the speed of its memory.
  public init(over bytes: UnsafeRawBufferPointer) {
    let hash = XXH3_128bits(bytes.baseAddress, bytes.count)
    low = hash.low64
    high = hash.high64
  }
}
