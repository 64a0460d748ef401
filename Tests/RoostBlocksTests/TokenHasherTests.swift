import RoostPrimitives
import Testing

@testable import RoostBlocks

/// Vectors from Python: `hashlib.sha256(parent + struct.pack("<16I", *tokens))`, starting with 32 zero bytes.
@Suite struct TokenHasherTests {
  static let tokens = (0..<40).map { UInt32(truncatingIfNeeded: $0 &* 2_654_435_761) }

  static func hash(_ tokens: [UInt32], by block: Int, after parent: TokenHasher.BlockHash = TokenHasher.root)
    -> [String]
  {
    let hashes = UnsafeMutableBufferPointer<TokenHasher.BlockHash>.allocate(capacity: tokens.count)
    defer { hashes.deallocate() }
    let count = tokens.withUnsafeBufferPointer { tokens in
      TokenHasher(tokensPerBlock: block).hash(tokens, after: parent, into: hashes)
    }
    return hashes.prefix(count).map { IdentityDigest(words: $0).description }
  }

  @Test(arguments: [
    (
      1, 40, "6db65fd59fd356f6729140571b5bcd6bb3b83492a16e1bf0a3884442fc3c8a0e",
      "82f71301e1b6aedf5adb53acbd647c3f5585cbbd8dd5c83d85aac1600e3b6ebf"
    ),
    (
      16, 2, "333deb8588e6d96f0b7142208ca4696690743974cece136c6df32b9fbf5d844a",
      "e026a57549c5185722445d75eefe0a4b5730555367863688e3d44584781917d4"
    ),
    (
      7, 5, "86b67ae9be39b9e1b6c9081d54d195460070d6faff86fbc87f7770d7a64efeb9",
      "a2c935e8b1bb39b5c84b20cec520f9661e1e5fc252187910533e19b834c22edf"
    ),
  ])
  func agreesWithPython(block: Int, count: Int, first: String, last: String) {
    let hashes = TokenHasherTests.hash(TokenHasherTests.tokens, by: block)
    #expect(hashes.count == count)
    #expect(hashes.first == first)
    #expect(hashes.last == last)
  }

  @Test func tokensAreLittleEndian() {
    let hashes = TokenHasherTests.hash([0xFFFF_FFFF, 1, 0x0102_0304], by: 3)
    #expect(hashes == ["966e1a8f748c6c5c97af4a77f39e162b61d21565be586b608e50ba127aecc344"])
  }

  @Test func aSequenceCanBeHashedInParts() {
    let tokens = TokenHasherTests.tokens
    let whole = TokenHasherTests.hash(tokens, by: 8)
    let hasher = TokenHasher(tokensPerBlock: 8)
    var parent = [TokenHasher.root]
    tokens[..<16].withUnsafeBufferPointer { tokens in
      let hashes = UnsafeMutableBufferPointer<TokenHasher.BlockHash>.allocate(capacity: 2)
      hasher.hash(tokens, into: hashes)
      parent = Array(hashes)
      hashes.deallocate()
    }
    #expect(TokenHasherTests.hash(Array(tokens[16...]), by: 8, after: parent[1]) == Array(whole[2...]))
  }

  @Test func equalTokensBehindDifferentPrefixesHaveDifferentHashes() {
    let one = TokenHasherTests.hash([1, 2, 3, 4, 9, 9, 9, 9], by: 4)
    let other = TokenHasherTests.hash([1, 2, 3, 5, 9, 9, 9, 9], by: 4)
    #expect(one[1] != other[1])
  }

  @Test func aPartOfABlockHasNoHash() {
    #expect(TokenHasherTests.hash([1, 2, 3], by: 4) == [])
    #expect(TokenHasherTests.hash([], by: 4) == [])
  }
}
