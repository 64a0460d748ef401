import RoostPrimitives

/// The name of a page outside this process: a `Key` with the identity written as its digest, because the small number
/// that stands for an identity means nothing on a disk or at the other end of a wire.
public struct PageName: Hashable, Sendable {
  /// The digest of the identity.
  public var identity: IdentityDigest
  /// The index of the group in the model's configuration.
  public var group: UInt16
  /// The length of the block hash in bytes, 16 to 32.
  public var hashByteCount: UInt8
  /// The block hash, in memory order, 8 bytes a word, zero behind its end.
  public var words: (UInt64, UInt64, UInt64, UInt64)

  /// Names the page of `key`, whose identity has this digest.
  public init(_ key: Key, identity: IdentityDigest) {
    self.identity = identity
    group = key.group
    hashByteCount = key.hashByteCount
    words = key.words
  }

  /// The key of the page in a process that calls the identity `id`.
  ///
  /// - Precondition: `hashByteCount` is in range, which every name made from a key is.
  public func key(identity id: IdentityID) -> Key {
    withUnsafeBytes(of: words) { bytes in
      Key(identity: id, group: group, hash: UnsafeRawBufferPointer(rebasing: bytes[..<Int(hashByteCount)]))
    }
  }

  /// Compares every field.
  public static func == (left: PageName, right: PageName) -> Bool {
    left.words == right.words && left.identity == right.identity && left.group == right.group
      && left.hashByteCount == right.hashByteCount
  }

  /// Feeds the hash, which is uniform already, and the identity.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(identity.words.0)
    hasher.combine(group)
  }
}
