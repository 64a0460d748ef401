/// The small number that stands for an `Identity` inside one process; given out by `IdentityTable`.
public struct IdentityID: RawRepresentable, Hashable, Sendable {
  /// The number; dense from 0.
  public let rawValue: UInt32
  /// Wraps a number that an `IdentityTable` gave out.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// The name of one page: identity, group and the engine's prefix-chained block hash, compared in full.
///
/// A plain value of 40 bytes without references, so that arrays of keys can be passed, copied and compared as raw
/// memory. The hash has 16 to 32 bytes; what it does not fill is zero. On a wire or on disk the identity is written
/// as its digest, never as this number.
public struct Key: Hashable, Sendable {
  /// The identity, as this process numbers it.
  public var identity: IdentityID
  /// The index of the group in the model's configuration.
  public var group: UInt16
  /// The length of the hash in bytes, 16 to 32.
  public var hashByteCount: UInt8
  private let padding: UInt8 = 0
  /// The hash, in memory order, 8 bytes a word, zero-padded.
  public var words: (UInt64, UInt64, UInt64, UInt64)

  /// The shortest block hash that Roost accepts, in bytes: 128 bits, so that a collision among 2^40 blocks has a
  /// chance of about 2^-49.
  public static let hashByteCountMin = 16
  /// The longest block hash, in bytes: SHA-256.
  public static let hashByteCountMax = 32

  /// Makes a key from the bytes of a hash, which are copied.
  ///
  /// - Precondition: `hash` has 16 to 32 bytes. Whoever takes hashes from outside checks this first.
  public init(identity: IdentityID, group: UInt16, hash: UnsafeRawBufferPointer) {
    precondition(
      hash.count >= Key.hashByteCountMin && hash.count <= Key.hashByteCountMax, "a block hash has 16 to 32 bytes")
    self.identity = identity
    self.group = group
    self.hashByteCount = UInt8(hash.count)
    self.words = (0, 0, 0, 0)
    withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: hash) }
  }

  /// Makes a key with a 32-byte hash from four words.
  public init(identity: IdentityID, group: UInt16, words: (UInt64, UInt64, UInt64, UInt64)) {
    self.identity = identity
    self.group = group
    self.hashByteCount = 32
    self.words = words
  }

  /// A well-mixed 64-bit value for hash tables. The block hash is uniform already, so one multiply spreads identity
  /// and group over it; the high bits are the best mixed.
  @inlinable public var tableHash: UInt64 {
    let salt = UInt64(identity.rawValue) << 16 | UInt64(group)
    let mixed = (words.0 ^ (salt &* 0x9E37_79B9_7F4A_7C15)) &* 0xD6E8_FEB8_6659_FD93
    return mixed ^ (mixed >> 32)
  }

  /// Compares every field.
  @inlinable public static func == (left: Key, right: Key) -> Bool {
    left.words.0 == right.words.0 && left.words.1 == right.words.1 && left.words.2 == right.words.2
      && left.words.3 == right.words.3 && left.identity == right.identity && left.group == right.group
      && left.hashByteCount == right.hashByteCount
  }

  /// Feeds every field.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(tableHash)
    hasher.combine(words.1)
  }
}
