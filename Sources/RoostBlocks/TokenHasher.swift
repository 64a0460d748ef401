import RoostPrimitives

/// Makes prefix-chained block hashes for engines that bring tokens and no hashes. Scheme `roost:sha256`, version 1:
///
///     hash[0] = SHA-256(32 zero bytes || tokens of block 0)
///     hash[i] = SHA-256(hash[i - 1]   || tokens of block i)
///
/// with every token as 4 bytes, little-endian. So a hash stands for its block and everything before it, and the same
/// tokens give the same hashes on every machine. What else the values depend on is in the identity. Only whole blocks
/// have a hash. About 100 ns for a block of 16 tokens.
///
/// Not thread-safe; make one a thread.
public final class TokenHasher {
  /// A block hash: 32 bytes in memory order, 8 bytes a word, as `Key` takes it.
  public typealias BlockHash = SHA256.Digest

  /// The name of the scheme, for `Identity.hashScheme`.
  public static let scheme = "roost:sha256"
  /// What stands before the first block.
  public static let root: BlockHash = (0, 0, 0, 0)

  /// The length of a block.
  public let tokensPerBlock: Int

  private let hasher = SHA256()
  /// The parent's hash and one block's tokens, contiguous, because one call of the hash function costs less than two.
  private let message: UnsafeMutableRawBufferPointer

  /// Makes a hasher for blocks of `tokensPerBlock` tokens.
  ///
  /// - Precondition: `tokensPerBlock` is positive.
  public init(tokensPerBlock: Int) {
    precondition(tokensPerBlock > 0, "a block has tokens")
    self.tokensPerBlock = tokensPerBlock
    message = .allocate(byteCount: 32 + 4 * tokensPerBlock, alignment: 8)
  }

  deinit { message.deallocate() }

  /// Hashes the whole blocks of `tokens`.
  ///
  /// - Parameters:
  ///   - parent: the hash of the block before the first one, to go on with a sequence.
  ///   - hashes: must have an entry for every whole block.
  /// - Returns: the number of whole blocks.
  @discardableResult public func hash(
    _ tokens: UnsafeBufferPointer<UInt32>, after parent: BlockHash = TokenHasher.root,
    into hashes: UnsafeMutableBufferPointer<BlockHash>
  ) -> Int {
    let blockCount = tokens.count / tokensPerBlock
    precondition(hashes.count >= blockCount, "there must be room for every block's hash")
    var parent = parent
    for block in 0..<blockCount {
      message.storeBytes(of: parent, as: BlockHash.self)
      for position in 0..<tokensPerBlock {
        let token = tokens[block * tokensPerBlock + position].littleEndian
        message.storeBytes(of: token, toByteOffset: 32 + 4 * position, as: UInt32.self)
      }
      parent = hasher.digest(of: UnsafeRawBufferPointer(message))
      hashes.initializeElement(at: block, to: parent)
    }
    return blockCount
  }
}
