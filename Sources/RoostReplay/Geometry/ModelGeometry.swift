import RoostDevice
import RoostPrimitives

/// How much KV cache a model makes, and in what pieces: layers, heads, bytes.
///
/// Heads and content follow vLLM's packed layout: content is the key and the value of one head of one token, one after
/// the other. MLA has one head, whose content is the latent vector with its rotary part.
public struct ModelGeometry: Sendable, Equatable {
  /// The name, or the text that described it.
  public var name: String
  /// Layers that have a KV cache.
  public var layerCount: Int
  /// Key-value heads.
  public var headCount: Int
  /// Values in the content of one head of one token.
  public var contentValueCount: Int
  /// The type of the values.
  public var dataType: DataType
  /// Tokens in a block.
  public var tokenCount: Int

  /// Tokens in a block of the attention kernel, as vLLM has it: the page of a block is made of pieces of this many
  /// tokens.
  public static let kernelTokenCount = 16

  /// Tokens in a block where nothing else is said: as in the public traces.
  public static let tokenCountDefault = 512

  /// The models known by name, from their published configurations (config.json: num_hidden_layers,
  /// num_key_value_heads, head_dim; DeepSeek: kv_lora_rank 512 + qk_rope_head_dim 64).
  public static let known: [ModelGeometry] = [
    attention("llama-3.1-8b", layers: 32, heads: 8, headDimension: 128),
    attention("llama-3.3-70b", layers: 80, heads: 8, headDimension: 128),
    attention("qwen3-32b", layers: 64, heads: 8, headDimension: 128),
    attention("qwen3-30b-a3b", layers: 48, heads: 4, headDimension: 128),
    latent("deepseek-v3", layers: 61, values: 576),
  ]

  /// The bytes of the content of one head of one token.
  public var contentByteCount: Int { contentValueCount * dataType.bitCount / 8 }

  /// The bytes of one token over all layers and heads.
  public var bytesPerToken: Int { layerCount * headCount * contentByteCount }

  private static func attention(_ name: String, layers: Int, heads: Int, headDimension: Int) -> ModelGeometry {
    ModelGeometry(
      name: name, layerCount: layers, headCount: heads, contentValueCount: 2 * headDimension, dataType: .bfloat16,
      tokenCount: tokenCountDefault)
  }

  private static func latent(_ name: String, layers: Int, values: Int) -> ModelGeometry {
    ModelGeometry(
      name: name, layerCount: layers, headCount: 1, contentValueCount: values, dataType: .bfloat16,
      tokenCount: tokenCountDefault)
  }
}

extension DataType {
  /// Bits of one value.
  var bitCount: Int {
    switch self {
    case .float32: 32
    case .float16, .bfloat16: 16
    case .float8e4m3, .float8e5m2, .int8: 8
    case .packed4bit: 4
    }
  }
}
