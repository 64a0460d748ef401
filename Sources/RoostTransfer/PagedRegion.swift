/// A range of device memory that holds pages, or a part of every page, one every `blockStrideBytes`: a whole KV cache,
/// or the cache of one layer. A plain value that owns nothing.
public struct PagedRegion: Hashable, Sendable {
  /// The device address of the first byte.
  public var address: UInt
  /// The size in bytes. Nothing outside is ever touched.
  public var byteCount: Int
  /// Bytes from the start of one block's page to the next. A page may reach beyond it: planes of keys and of values
  /// that span all blocks lie far apart.
  public var blockStrideBytes: Int
  /// How many blocks there are; ids go from 0.
  public var blockCount: Int

  /// Describes a region.
  public init(address: UInt, byteCount: Int, blockStrideBytes: Int, blockCount: Int) {
    self.address = address
    self.byteCount = byteCount
    self.blockStrideBytes = blockStrideBytes
    self.blockCount = blockCount
  }
}
