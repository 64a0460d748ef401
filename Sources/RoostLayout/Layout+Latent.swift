/// What a cache of latent attention (MLA), or of records of one token each, counts.
public struct RecordGeometry: Hashable, Sendable {
  /// Blocks; 1 for a single page.
  public var blockCount = 1
  /// Tokens (or states) of a block.
  public var tokensPerBlock: Int
  /// Bytes from one block to the next; nil: as many as a block has, rounded up to `pageMultiple`.
  public var blockStrideBytes: Int?
  /// What a page's size is rounded up to.
  public var pageMultiple = 1

  /// A single page without padding.
  public init(tokensPerBlock: Int) { self.tokensPerBlock = tokensPerBlock }

  /// A stride that is given, or the size rounded up.
  fileprivate func stride(pageByteCount: Int) throws(LayoutError) -> Int {
    if let blockStrideBytes { return blockStrideBytes }
    guard pageMultiple >= 1 else {
      throw .parameterInvalid("pageMultiple", value: pageMultiple, reason: "a page is rounded up to at least 1 byte")
    }
    let (sum, overflows) = pageByteCount.addingReportingOverflow(pageMultiple - 1)
    guard !overflows else { throw .overflow(.block, extent: blockCount, strideBytes: pageByteCount) }
    return sum / pageMultiple * pageMultiple
  }
}

extension Layout {
  /// MLA: [B, N, 576], 512 elements of latent and 64 of rotary key; replicated over ranks: no heads, no key and value.
  public static func latent(
    _ geometry: RecordGeometry, dim: Int = 576, itemByteCount: Int = 2
  ) throws(LayoutError) -> Layout {
    try records(geometry, [PhysicalAxis(.dim, dim)], itemByteCount: itemByteCount)
  }

  /// Records of bytes, token by token: 656 is DeepSeek V3.2's fp8 (512 fp8, 16 of scales, 128 rotary), 584 V4's.
  public static func latentRecords(
    _ geometry: RecordGeometry, recordByteCount: Int = 656
  ) throws(LayoutError) -> Layout {
    try records(geometry, [PhysicalAxis(.byte, recordByteCount)], itemByteCount: 1)
  }

  /// A page whose tokens' data lie first and their scales after, in two planes: DeepSeek V4 has 576 bytes and 8, pages
  /// rounded up to 576; its indexer 128 and 4. A slice of tokens is two runs a block.
  public static func planarScales(
    _ geometry: RecordGeometry, dataByteCount: Int = 576, scaleByteCount: Int = 8
  ) throws(LayoutError) -> Layout {
    let tokens = geometry.tokensPerBlock
    let (dataSize, dataOverflows) = tokens.multipliedReportingOverflow(by: dataByteCount)
    let (scaleSize, scaleOverflows) = tokens.multipliedReportingOverflow(by: scaleByteCount)
    let (size, sumOverflows) = dataSize.addingReportingOverflow(scaleSize)
    guard !dataOverflows, !scaleOverflows, !sumOverflows else {
      throw .overflow(.token, extent: tokens, strideBytes: max(dataByteCount, scaleByteCount))
    }
    let stride = try geometry.stride(pageByteCount: size)
    var planes: [Plane] = []
    for (offset, count) in [(0, dataByteCount), (dataSize, scaleByteCount)] {
      planes.append(
        try Plane(
          physical: [
            PhysicalAxis(.block, geometry.blockCount, strideBytes: stride), PhysicalAxis(.token, tokens),
            PhysicalAxis(.byte, count),
          ], itemByteCount: 1, offsetBytes: offset))
    }
    return try Layout(planes: planes)
  }

  private static func records(
    _ geometry: RecordGeometry, _ record: [PhysicalAxis], itemByteCount: Int
  ) throws(LayoutError) -> Layout {
    let page = [PhysicalAxis(.token, geometry.tokensPerBlock)] + record
    let size = try Plane(physical: page, itemByteCount: itemByteCount, offsetBytes: 0).validatedByteCount()
    let block = PhysicalAxis(.block, geometry.blockCount, strideBytes: try geometry.stride(pageByteCount: size))
    return try fromPhysical([block] + page, itemByteCount: itemByteCount)
  }
}

extension Plane {
  /// The bytes of a plane that may not be part of a layout yet.
  fileprivate func validatedByteCount() throws(LayoutError) -> Int {
    try validate()
    return byteCount
  }
}
