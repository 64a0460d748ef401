/// The name of a logical axis, such as `token` or `head`. Equal when the bytes are equal.
///
/// Carries a fingerprint of its text, so that planning compares integers and touches the text only when they agree.
public struct AxisName: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// The name as written.
  public let text: String
  private let fingerprint: UInt64

  /// Makes a name; any text will do.
  public init(_ text: String) {
    self.text = text
    // FNV-1a, 64 bit (Fowler, Noll, Vo).
    var state: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in text.utf8 { state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    fingerprint = state
  }

  /// Makes a name from a literal.
  public init(stringLiteral text: String) { self.init(text) }

  /// The text.
  public var description: String { text }

  /// Whether the bytes of both are equal.
  public static func == (left: AxisName, right: AxisName) -> Bool {
    left.fingerprint == right.fingerprint && left.text == right.text
  }

  /// Feeds the fingerprint.
  public func hash(into hasher: inout Hasher) { hasher.combine(fingerprint) }
}

extension AxisName {
  /// Key against value: extent 2.
  public static let keyValue: AxisName = "kv"
  /// Layers.
  public static let layer: AxisName = "layer"
  /// Blocks of tokens (pages).
  public static let block: AxisName = "block"
  /// Tokens, inside a block or running through.
  public static let token: AxisName = "token"
  /// Heads that hold keys and values.
  public static let head: AxisName = "head"
  /// Elements of one head's key or value.
  public static let dim: AxisName = "dim"
  /// Elements of one token and head where key and value are packed together.
  public static let content: AxisName = "content"
  /// Bytes of a record that has no finer meaning.
  public static let byte: AxisName = "byte"

  /// Whether an opaque page refuses to be cut along this axis: `token`, or `tok` as some engines write it.
  public var countsTokens: Bool { self == .token || self == AxisName.shortToken }

  private static let shortToken: AxisName = "tok"
}
