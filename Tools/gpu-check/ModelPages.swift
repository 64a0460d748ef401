import RoostDevice

/// A model's pages as vLLM lays them out: a tensor a layer, in it block after block, a block's heads as one run. A page of the
/// pool is one run, so that a copy is a piece a layer and block.
struct ModelPages {
  let name: String
  let layers: Int
  /// Of one layer and block on one device: 16 tokens, keys and values in 16 bits.
  let pieceBytes: Int

  /// Llama-3 8B on one device, and 70B on one and on one of eight.
  static let all = [
    ModelPages(name: "Llama-8B", layers: 32, heads: 8), ModelPages(name: "Llama-70B", layers: 80, heads: 8),
    ModelPages(name: "Llama-70B, one of 8 ranks", layers: 80, heads: 1),
  ]

  private init(name: String, layers: Int, heads: Int) {
    self.name = name
    self.layers = layers
    pieceBytes = 16 * heads * 128 * 2 * 2
  }

  var pageBytes: Int { layers * pieceBytes }

  /// Where the pieces of the pages lie, from the start of the device's memory and of the host's. The device has twice as
  /// many blocks as there are pages; those in use are shuffled.
  func pieces(pageCount: Int, using random: inout some RandomNumberGenerator) -> [(device: Int, host: Int)] {
    let blocks = (0..<2 * pageCount).shuffled(using: &random).prefix(pageCount)
    return blocks.enumerated().flatMap { page, block in
      (0..<layers).map { layer in
        ((layer * 2 * pageCount + block) * pieceBytes, page * pageBytes + layer * pieceBytes)
      }
    }
  }
}
