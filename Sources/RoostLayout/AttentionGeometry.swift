/// What a cache of attention keys and values counts, whatever its layout.
public struct AttentionGeometry: Hashable, Sendable {
  /// Layers that lie in one region; 1 where each layer has a tensor of its own.
  public var layerCount = 1
  /// Blocks; 1 for a single page.
  public var blockCount = 1
  /// Tokens of a block.
  public var tokensPerBlock: Int
  /// Heads that hold keys and values (not query heads).
  public var headCount: Int
  /// Elements of one head's key.
  public var headDim: Int
  /// Elements of one head's value; nil: as many as of the key. Packed layouts alone can have other ones.
  public var valueDim: Int?
  /// Bytes of an element.
  public var itemByteCount: Int
  /// Bytes from one block to the next; nil: no padding. For layouts whose blocks lie outside everything but kv or layers.
  public var blockStrideBytes: Int?

  /// A single page of a single layer; set counts to have more.
  public init(tokensPerBlock: Int, headCount: Int, headDim: Int, itemByteCount: Int) {
    self.tokensPerBlock = tokensPerBlock
    self.headCount = headCount
    self.headDim = headDim
    self.itemByteCount = itemByteCount
  }

  /// Elements of one token and head, key and value together.
  var contentCount: Int {
    let (sum, overflows) = headDim.addingReportingOverflow(valueDim ?? headDim)
    return overflows ? Int.max : sum
  }
}

/// Whether the heads of a token lie together or the tokens of a head.
public enum HeadOrder: String, Hashable, Sendable, CaseIterable {
  /// Tokens outside heads: all heads of a token lie together.
  case nhd
  /// Heads outside tokens: all tokens of a head lie together, so that a shard by heads is one run.
  case hnd
}
