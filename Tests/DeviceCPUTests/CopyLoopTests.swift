import CRoostPlatform
import Foundation
import RoostPrimitives
import Testing

/// The copy loops against libc, every variant that this processor has.
@Suite struct CopyLoopTests {
  static let variants = (0..<CInt(ROOST_COPY_VARIANT_COUNT)).filter { roost_copy_variant_available($0) }

  /// Memory to copy from and to, and what the target should hold afterwards. Lengths and compares go through libc.
  private final class Arena {
    let byteCount: Int
    let source: UnsafeMutableRawPointer
    let target: UnsafeMutableRawPointer
    let expected: UnsafeMutableRawPointer
    var pieces: [roost_copy_piece] = []

    init(byteCount: Int, seed: UInt64) {
      self.byteCount = byteCount
      source = .allocate(byteCount: byteCount, alignment: 64)
      target = .allocate(byteCount: byteCount, alignment: 64)
      expected = .allocate(byteCount: byteCount, alignment: 64)
      roost_pattern_fill(source, byteCount, seed, 0)
      clear()
    }

    deinit {
      source.deallocate()
      target.deallocate()
      expected.deallocate()
    }

    func clear() {
      memset(target, 0xEE, byteCount)
      memset(expected, 0xEE, byteCount)
      pieces = []
    }

    func add(source from: Int, target to: Int, byteCount: Int) {
      pieces.append(
        roost_copy_piece(
          source: UInt(bitPattern: source + from), target: UInt(bitPattern: target + to), byte_count: byteCount))
      memcpy(expected + to, source + from, byteCount)
    }

    /// Copies, and says whether the target holds what it should, guard bytes included.
    func copiesRightly(variant: CInt) -> Bool {
      roost_copy_pieces_variant(pieces, pieces.count, variant)
      return memcmp(target, expected, byteCount) == 0
    }
  }

  @Test(arguments: variants) func copiesEveryLengthAtEveryAlignmentOfTheTarget(variant: CInt) {
    for length in [0, 1, 7, 63, 64, 65, 127, 191, 255, 256, 257, 319, 320, 511, 512, 513, 767, 1023, 4096, 4097] {
      let arena = Arena(byteCount: 8192, seed: UInt64(length))
      for offset in 0..<64 {
        arena.clear()
        arena.add(source: (offset * 37) % 61, target: 64 + offset, byteCount: length)
        #expect(arena.copiesRightly(variant: variant), "length \(length), offset \(offset)")
      }
    }
  }

  @Test(arguments: variants) func copiesRandomListsOfPiecesAndNothingBesideThem(variant: CInt) {
    for seed in UInt64(1)...60 {
      var random = SplitMix64(seed: seed)
      let sizes = [1...64, 1...700, 200...300, 1000...5000, 4096...4096, 60_000...70_000]
      let range = sizes[Int(seed) % sizes.count]
      let arena = Arena(byteCount: 1 << 20, seed: seed)
      var cursor = Int.random(in: 0...64, using: &random)
      while cursor < 1 << 20 {
        let length = Int.random(in: range, using: &random)
        guard cursor + length <= 1 << 20 else { break }
        arena.add(
          source: Int.random(in: 0...(1 << 20) - length, using: &random), target: cursor, byteCount: length)
        cursor += length + [0, 0, 1, 13, 64].randomElement(using: &random)!
      }
      arena.pieces.shuffle(using: &random)
      #expect(arena.copiesRightly(variant: variant), "seed \(seed)")
    }
  }

  @Test(arguments: variants) func copiesBigPiecesThatFollowSmallOnes(variant: CInt) {
    let arena = Arena(byteCount: 3 << 20, seed: 5)
    arena.add(source: 17, target: 3, byteCount: 100)
    arena.add(source: 5000, target: 4096, byteCount: 1 << 20)
    arena.add(source: 1, target: 2 << 20, byteCount: 0)
    arena.add(source: 2_000_001, target: (2 << 20) + 1, byteCount: 65_536 + 64)
    arena.add(source: 9, target: (2 << 20) + 70_000, byteCount: 65_535)
    arena.add(source: 3, target: (3 << 20) - 300, byteCount: 300)
    #expect(arena.copiesRightly(variant: variant))
  }

  @Test func copiesRowsWithAPitchOnBothSides() {
    var source = (0..<80_000).map { UInt8(truncatingIfNeeded: $0 &* 131) }
    var target = [UInt8](repeating: 0xEE, count: 200_000)
    var expected = target
    // 600 rows: more than the shim hands on at once.
    for row in 0..<600 {
      for byte in 0..<100 { expected[5 + row * 300 + byte] = source[3 + row * 120 + byte] }
    }
    source.withUnsafeMutableBytes { source in
      target.withUnsafeMutableBytes { target in
        roost_copy_rows(
          UInt(bitPattern: source.baseAddress) + 3, UInt(bitPattern: target.baseAddress) + 5, 100, 600, 120, 300)
      }
    }
    #expect(target == expected)
  }

  @Test func namesItsVariantsAndPicksOneThatTheProcessorHas() {
    #expect(roost_copy_variant_available(roost_copy_best_variant()))
    #expect(!roost_copy_variant_available(99))
    #expect(!roost_copy_variant_available(-1))
    #expect(String(cString: roost_copy_variant_name(0)) == "plain")
    #expect(String(cString: roost_copy_variant_name(99)) == "unknown")
  }
}
