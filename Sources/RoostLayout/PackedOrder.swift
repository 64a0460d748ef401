/// The order in which vLLM (0.25 and later) lays out a cache whose key and value are packed into one content axis:
/// L layers, B blocks, H heads, N tokens, C content, outermost first.
public enum PackedOrder: String, Hashable, Sendable, CaseIterable {
  /// A tensor a layer, heads outside tokens ("HND").
  case lbhnc
  /// A tensor a layer, tokens outside heads ("NHD").
  case lbnhc
  /// A tensor a layer, heads outside blocks.
  case lhbnc
  /// One tensor for all layers, blocks outermost, heads outside tokens.
  case blhnc
  /// One tensor for all layers, blocks outermost, tokens outside heads.
  case blnhc
  /// One tensor for all layers, blocks outermost, heads outside layers: any shard by heads of a block is one run.
  case bhlnc

  /// The axes as they lie, outermost first.
  public var axisNames: [AxisName] {
    rawValue.compactMap { PackedOrder.names[$0] }
  }

  private static let names: [Character: AxisName] = ["l": .layer, "b": .block, "h": .head, "n": .token, "c": .content]
}

extension Layout {
  /// vLLM's packed cache: logical axes layer, block, head, token, content. `blockStrideBytes` pads blocks; it
  /// replaces the block axis' own stride and those of the axes outside it grow with it.
  public static func packed(_ order: PackedOrder, _ geometry: AttentionGeometry) throws(LayoutError) -> Layout {
    let extents: [AxisName: Int] = [
      .layer: geometry.layerCount, .block: geometry.blockCount, .head: geometry.headCount,
      .token: geometry.tokensPerBlock, .content: geometry.contentCount,
    ]
    let axes = order.axisNames.map {
      PhysicalAxis($0, extents[$0] ?? 1, strideBytes: $0 == .block ? geometry.blockStrideBytes : nil)
    }
    return try fromPhysical(
      axes, logicalOrder: [.layer, .block, .head, .token, .content], itemByteCount: geometry.itemByteCount)
  }
}
