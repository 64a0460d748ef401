/// What the values in a page depend on besides the tokens. Two caches may share pages exactly if these are equal.
///
/// Never part of it: layout, parallel sizes, device, model name. See docs/architecture.md, "identity".
public struct Identity: Hashable, Sendable {
  /// Fingerprint of the weights: configuration, and names, sizes, head and tail bytes of the weight files.
  public var weights: [UInt8]
  /// The data type that keys and values are stored in, as the engine names it: `bfloat16`, `fp8_e4m3`.
  public var dataType: String
  /// The quantisation of keys and values, or empty.
  public var quantisation: String
  /// The rotary position embedding with all its parameters, in the engine's own canonical text.
  public var rope: String
  /// Fingerprint of the adapter (LoRA), or empty.
  public var adapter: [UInt8]
  /// The tenant's salt, or empty.
  public var salt: [UInt8]
  /// Counts weight updates that keep the name of the model.
  public var weightsEpoch: UInt64
  /// The scheme that makes block hashes, for one `vllm:sha256` or `roost:sha256`.
  public var hashScheme: String
  /// Tokens in a block.
  public var tokensPerBlock: UInt32
  /// Digest of the inner format of pages that only the kernel can read, or empty.
  public var opaqueFormat: [UInt8]

  /// Makes an identity; fields that do not apply stay empty.
  public init(
    weights: [UInt8], dataType: String, quantisation: String = "", rope: String = "", adapter: [UInt8] = [],
    salt: [UInt8] = [], weightsEpoch: UInt64 = 0, hashScheme: String, tokensPerBlock: UInt32,
    opaqueFormat: [UInt8] = []
  ) {
    self.weights = weights
    self.dataType = dataType
    self.quantisation = quantisation
    self.rope = rope
    self.adapter = adapter
    self.salt = salt
    self.weightsEpoch = weightsEpoch
    self.hashScheme = hashScheme
    self.tokensPerBlock = tokensPerBlock
    self.opaqueFormat = opaqueFormat
  }

  /// The version of the digest's own format; a change of fields or order raises it.
  public static let formatVersion: UInt8 = 1

  /// SHA-256 over every field, each as a tag byte, a 64-bit little-endian length, and its bytes, so that no two
  /// different identities give the same input.
  public var digest: IdentityDigest {
    var input = [Identity.formatVersion]
    func append(_ tag: UInt8, _ bytes: some Collection<UInt8>) {
      input.append(tag)
      withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { input.append(contentsOf: $0) }
      input.append(contentsOf: bytes)
    }
    append(1, weights)
    append(2, Array(dataType.utf8))
    append(3, Array(quantisation.utf8))
    append(4, Array(rope.utf8))
    append(5, adapter)
    append(6, salt)
    append(7, withUnsafeBytes(of: weightsEpoch.littleEndian) { Array($0) })
    append(8, Array(hashScheme.utf8))
    append(9, withUnsafeBytes(of: tokensPerBlock.littleEndian) { Array($0) })
    append(10, opaqueFormat)
    return IdentityDigest(words: input.withUnsafeBytes { SHA256.digest(of: $0) })
  }
}

/// The SHA-256 digest of an `Identity`: its name on a wire, on disk and in a shared slot table.
public struct IdentityDigest: Hashable, Sendable, CustomStringConvertible {
  /// The 32 bytes, in memory order, 8 bytes a word.
  public var words: (UInt64, UInt64, UInt64, UInt64)

  /// Wraps 32 bytes.
  public init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

  /// Compares all 32 bytes.
  public static func == (left: IdentityDigest, right: IdentityDigest) -> Bool { left.words == right.words }

  /// Feeds all 32 bytes.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(words.2)
    hasher.combine(words.3)
  }

  /// 64 hexadecimal digits.
  public var description: String {
    withUnsafeBytes(of: words) { bytes in
      bytes.map { byte in
        let text = String(byte, radix: 16)
        return byte < 16 ? "0" + text : text
      }.joined()
    }
  }
}

/// Gives identities small numbers, first come first served, and never forgets one. Not thread-safe.
public struct IdentityTable: Sendable {
  private var numbers: [IdentityDigest: UInt32] = [:]
  /// The digests in the order of their numbers.
  public private(set) var digests: [IdentityDigest] = []

  /// Makes an empty table.
  public init() {}

  /// The number of `digest`, given now if it has none yet.
  public mutating func intern(_ digest: IdentityDigest) -> IdentityID {
    if let known = numbers[digest] { return IdentityID(rawValue: known) }
    let number = UInt32(digests.count)
    digests.append(digest)
    numbers[digest] = number
    return IdentityID(rawValue: number)
  }

  /// The number of `digest`, or nil if nobody has interned it.
  public func id(of digest: IdentityDigest) -> IdentityID? { numbers[digest].map(IdentityID.init(rawValue:)) }

  /// The digest behind a number that this table gave out.
  public subscript(id: IdentityID) -> IdentityDigest { digests[Int(id.rawValue)] }
}
