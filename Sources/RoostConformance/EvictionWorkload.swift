import RoostBlocks
import RoostPrimitives

/// Requests like those of conversations: prefixes of some chains that grow, and now and then a new one.
struct EvictionWorkload {
  var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// The blocks of a chain from its head.
  static func chain(_ chain: UInt64, _ length: Int) -> [Key] {
    (0..<UInt64(length)).map { block in
      let number = chain << 16 | block
      return Key(
        identity: IdentityID(rawValue: UInt32(chain % 3)), group: 0,
        words: (SplitMix64.mix(number), number, ~number, 1))
    }
  }

  mutating func next() -> [Key] {
    let chain = Bool.random(using: &random) ? UInt64.random(in: 0..<8, using: &random) : random.next() % 1000
    return EvictionWorkload.chain(chain, Int.random(in: 1...12, using: &random))
  }
}
