import RoostPrimitives

/// The shape of the pages that a replay moves: a model's own, or the same pieces in a smaller number.
///
/// A piece is what one layer keeps for one block of the attention kernel (16 tokens): all its heads, contiguous, 64 KiB
/// for Llama-3.1-8B. It is what copies are made of, so scaling leaves it alone and takes fewer of them: first fewer
/// blocks of the kernel, then fewer layers. Only below one piece are there fewer tokens, then fewer heads.
public struct PageGeometry: Sendable, Equatable {
  /// The model.
  public let model: ModelGeometry
  /// Layers of the page.
  public let layerCount: Int
  /// Blocks of the attention kernel that the page spans.
  public let kernelBlockCount: Int
  /// Heads of the page.
  public let headCount: Int
  /// Tokens in a block of the attention kernel.
  public let kernelTokenCount: Int

  /// The bytes of one piece.
  public var pieceByteCount: Int { headCount * kernelTokenCount * model.contentByteCount }
  /// The pieces of a page.
  public var pieceCount: Int { layerCount * kernelBlockCount }
  /// The bytes of a page, which is also the size of a slot.
  public var byteCount: Int { pieceCount * pieceByteCount }
  /// Whether this is the model's own page.
  public var isFull: Bool { self == PageGeometry(full: model) }

  /// The model's own page.
  public init(full model: ModelGeometry) {
    self.model = model
    layerCount = model.layerCount
    headCount = model.headCount
    kernelTokenCount = min(model.tokenCount, ModelGeometry.kernelTokenCount)
    kernelBlockCount = model.tokenCount / kernelTokenCount
  }

  /// The largest page of the model's pieces that has at most `byteCount` bytes; the model's own page if that is
  /// smaller.
  ///
  /// - Throws: `invalidInput` if not even one head of one token fits.
  public init(scaling model: ModelGeometry, to byteCount: Int) throws(RoostError) {
    let full = PageGeometry(full: model)
    self.model = model
    let pieces = byteCount / full.pieceByteCount
    if pieces > 0 {
      layerCount = min(pieces, full.layerCount)
      kernelBlockCount = min(pieces / layerCount, full.kernelBlockCount)
      headCount = full.headCount
      kernelTokenCount = full.kernelTokenCount
      return
    }
    let perToken = model.headCount * model.contentByteCount
    layerCount = 1
    kernelBlockCount = 1
    kernelTokenCount = max(1, byteCount / perToken)
    headCount = byteCount >= perToken ? model.headCount : byteCount / model.contentByteCount
    guard headCount > 0 else {
      throw RoostError(
        .invalidInput,
        "--block-bytes must be at least \(model.contentByteCount), one head of one token of \(model.name)")
    }
  }

  /// One line for people: `4 of 32 layers x 64 KiB (8 heads x 16 tokens)`.
  public var summary: String {
    let layers = layerCount == model.layerCount ? "\(layerCount) layers" : "\(layerCount) of \(model.layerCount) layers"
    let blocks = kernelBlockCount == 1 ? "" : " x \(kernelBlockCount) kernel blocks"
    let heads = headCount == 1 ? "1 head" : "\(headCount) heads"
    return "\(layers)\(blocks) x \(ByteCount(pieceByteCount)) (\(heads) x \(kernelTokenCount) tokens)"
  }
}
