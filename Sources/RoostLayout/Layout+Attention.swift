// Shapes of caches whose keys and values have an axis of their own. Sources: vLLM up to 0.24 (flash and paged
// attention backends), KVortex, LMCache's memory objects, SGLang's host pool.

extension Layout {
  /// [2, B, N, H, D]: all keys, then all values (vLLM's first generation). One layer.
  public static func keyValueFirst(_ geometry: AttentionGeometry, order: HeadOrder) throws(LayoutError) -> Layout {
    try fromPhysical(
      [PhysicalAxis(.keyValue, 2), PhysicalAxis(.block, geometry.blockCount, strideBytes: geometry.blockStrideBytes)]
        + geometry.inBlock(order), logicalOrder: [.keyValue, .block, .token, .head, .dim],
      itemByteCount: geometry.itemByteCount)
  }

  /// [B, 2, N, H, D]: keys, then values, in each block (FlashInfer, Triton, vLLM's second generation). One layer.
  public static func blocksFirst(_ geometry: AttentionGeometry, order: HeadOrder) throws(LayoutError) -> Layout {
    try fromPhysical(
      [PhysicalAxis(.block, geometry.blockCount, strideBytes: geometry.blockStrideBytes), PhysicalAxis(.keyValue, 2)]
        + geometry.inBlock(order), logicalOrder: [.block, .keyValue, .token, .head, .dim],
      itemByteCount: geometry.itemByteCount)
  }

  /// KVortex: [2, L, B, N, H, D], N being 16 there; one block is 2 L runs.
  public static func kvortex(_ geometry: AttentionGeometry) throws(LayoutError) -> Layout {
    try fromPhysical(
      [PhysicalAxis(.keyValue, 2), PhysicalAxis(.layer, geometry.layerCount)]
        + [PhysicalAxis(.block, geometry.blockCount, strideBytes: geometry.blockStrideBytes)] + geometry.inBlock(.nhd),
      itemByteCount: geometry.itemByteCount)
  }

  /// LMCache's KV_2LTD: [2, L, T, H x D], `tokensPerBlock` being the tokens of the chunk. No blocks.
  public static func keyValueLayerToken(_ geometry: AttentionGeometry) throws(LayoutError) -> Layout {
    try fromPhysical(
      [PhysicalAxis(.keyValue, 2), PhysicalAxis(.layer, geometry.layerCount)] + geometry.inBlock(.nhd),
      itemByteCount: geometry.itemByteCount)
  }

  /// SGLang's page_first: [2, S, L, H, D], the layers of a token together. `tokensPerBlock` counts all S; no blocks.
  public static func pageFirst(_ geometry: AttentionGeometry) throws(LayoutError) -> Layout {
    try fromPhysical(
      [
        PhysicalAxis(.keyValue, 2), PhysicalAxis(.token, geometry.tokensPerBlock),
        PhysicalAxis(.layer, geometry.layerCount), PhysicalAxis(.head, geometry.headCount),
        PhysicalAxis(.dim, geometry.headDim),
      ], logicalOrder: [.keyValue, .layer, .token, .head, .dim], itemByteCount: geometry.itemByteCount)
  }

  /// SGLang's page_head: [2, P, H, N, L, D], all layers of a head together: any shard by heads of a page is one run.
  public static func pageHead(_ geometry: AttentionGeometry) throws(LayoutError) -> Layout {
    try fromPhysical(
      [
        PhysicalAxis(.keyValue, 2),
        PhysicalAxis(.block, geometry.blockCount, strideBytes: geometry.blockStrideBytes),
        PhysicalAxis(.head, geometry.headCount), PhysicalAxis(.token, geometry.tokensPerBlock),
        PhysicalAxis(.layer, geometry.layerCount), PhysicalAxis(.dim, geometry.headDim),
      ], logicalOrder: [.keyValue, .layer, .block, .token, .head, .dim], itemByteCount: geometry.itemByteCount)
  }
}

extension AttentionGeometry {
  /// Tokens, heads and elements of a block, in the order in which they lie.
  fileprivate func inBlock(_ order: HeadOrder) -> [PhysicalAxis] {
    let tokens = PhysicalAxis(.token, tokensPerBlock)
    let heads = PhysicalAxis(.head, headCount)
    return (order == .nhd ? [tokens, heads] : [heads, tokens]) + [PhysicalAxis(.dim, headDim)]
  }
}
