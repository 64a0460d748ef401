import CRoostPlatform
import RoostPrimitives
import Testing

@Suite struct PatternTests {
  /// The definition in the header, word by word.
  private static func word(_ index: UInt64, seed: UInt64) -> UInt64 {
    let counter = SplitMix64.mix(seed) &+ index &* 0x9E37_79B9_7F4A_7C15
    let mixed = counter ^ (counter >> 29)
    let low = (mixed & 0xFFFF_FFFF) &* 0x9E37_79B1
    let high = (mixed >> 32) &* 0x85EB_CA77
    return low ^ (high << 32) ^ (high >> 32)
  }

  private static func expected(byteCount: Int, seed: UInt64, firstWord: UInt64) -> [UInt8] {
    (0..<byteCount).map { byte in
      UInt8(truncatingIfNeeded: word(firstWord + UInt64(byte / 8), seed: seed) >> UInt64(byte % 8 * 8))
    }
  }

  @Test func fillsAnyLengthAnywhereWithTheSameWords() {
    for byteCount in [0, 1, 7, 8, 9, 63, 64, 255, 256, 257, 1000, 4096, 5003] {
      for offset in [0, 1, 4, 8, 24, 56, 63] {
        var buffer = [UInt8](repeating: 0xEE, count: byteCount + 192)
        buffer.withUnsafeMutableBytes { bytes in
          let base = -Int(bitPattern: bytes.baseAddress) & 63
          roost_pattern_fill(bytes.baseAddress! + base + offset, byteCount, 99, 7)
          let written = Array(bytes[(base + offset)..<(base + offset + byteCount)])
          #expect(written == Self.expected(byteCount: byteCount, seed: 99, firstWord: 7))
          #expect(bytes[base + offset + byteCount] == 0xEE)
          #expect(roost_pattern_compare(bytes.baseAddress! + base + offset, byteCount, 99, 7, nil) == 0)
        }
      }
    }
  }

  @Test func fillsPiecewiseAsItFillsAtOnce() {
    var whole = [UInt8](repeating: 0, count: 8192)
    var pieces = whole
    whole.withUnsafeMutableBytes { roost_pattern_fill($0.baseAddress, 8192, 3, 0) }
    pieces.withUnsafeMutableBytes { bytes in
      for start in stride(from: 0, to: 8192, by: 1024) {
        roost_pattern_fill(bytes.baseAddress! + start, 1024, 3, UInt64(start / 8))
      }
    }
    #expect(whole == pieces)
  }

  @Test func countsEveryWrongByteAndFindsTheFirst() {
    for seed in UInt64(1)...50 {
      var random = SplitMix64(seed: seed)
      let byteCount = Int.random(in: 1...9000, using: &random)
      var buffer = [UInt8](repeating: 0, count: byteCount)
      buffer.withUnsafeMutableBytes { roost_pattern_fill($0.baseAddress, byteCount, seed, 0) }
      var wrong = Set<Int>()
      for _ in 0..<Int.random(in: 1...20, using: &random) {
        let byte = Int.random(in: 0..<byteCount, using: &random)
        if wrong.insert(byte).inserted { buffer[byte] ^= 1 << UInt8.random(in: 0...7, using: &random) }
      }
      var first = -1
      #expect(roost_pattern_compare(buffer, byteCount, seed, 0, &first) == wrong.count, "seed \(seed)")
      #expect(first == wrong.min(), "seed \(seed)")
    }
  }

  /// Bytes of unrelated patterns agree by chance, one in 256: 256 of 65,536, with a spread of 16.
  @Test func givesEverySeedAndEveryPlaceItsOwnBytes() {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    buffer.withUnsafeMutableBytes { roost_pattern_fill($0.baseAddress, 65_536, 1, 0) }
    for (seed, firstWord) in [(UInt64(2), UInt64(0)), (1, 1), (1, 8192), (1 << 40, 0)] {
      let wrong = roost_pattern_compare(buffer, 65_536, seed, firstWord, nil)
      #expect(wrong > 65_536 - 400, "seed \(seed), first word \(firstWord)")
    }
  }
}
