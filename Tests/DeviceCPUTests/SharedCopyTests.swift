import Foundation
import RoostDevice
import RoostPrimitives
import Testing

@testable import DeviceCPU

@Suite struct SharedCopyTests {
  /// Sizes on both sides of a chunk's.
  private static let sizes = [1, 100, 4096, 65_536, 262_143, 262_144, 262_145, 1_000_003]
  private static let gap = 7

  @Test(arguments: [1, 4]) func copiesEveryByteOnceWhoeverTakesTheChunks(threadCount: Int) throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    for _ in 0..<5 {
      let lengths = (0..<40).map { _ in Self.sizes.randomElement(using: &random)! }
      let total = lengths.reduce(0) { $0 + $1 + Self.gap }
      let (source, target) = (Bytes(total), Bytes(total, fill: 0xEE))
      for index in 0..<total { source[index] = UInt8(truncatingIfNeeded: index &* 31 &+ index >> 11) }
      var offset = 0
      let pieces = lengths.map { length in
        defer { offset += length + Self.gap }
        return CopyPiece(
          source: source.address + UInt(offset), target: target.address + UInt(offset), byteCount: UInt(length))
      }
      let array = pieces.shuffled(using: &random).withUnsafeBufferPointer { PieceArray(copying: $0) }
      let copy = SharedCopy(array, copyVariant: 0)
      let threads = try (1..<threadCount).map { _ in try HostThread.start("chunks") { while copy.copyNext() {} } }
      copy.finish(spinNanoseconds: 0)
      // Before the others have ended: what `finish` promises is that the bytes are there.
      var wrong = 0
      offset = 0
      for length in lengths {
        wrong += memcmp(source.buffer.baseAddress! + offset, target.buffer.baseAddress! + offset, length) == 0 ? 0 : 1
        for index in offset + length..<offset + length + Self.gap where target[index] != 0xEE { wrong += 1 }
        offset += length + Self.gap
      }
      #expect(wrong == 0, "pieces that differ, or bytes beside them that were written")
      #expect(!copy.copyNext(), "a chunk is left")
      for thread in threads { thread.join() }
    }
  }

  @Test func chunksAreShort() {
    let bytes = Bytes(3 << 20)
    let pieces = [CopyPiece(source: bytes.address, target: bytes.address + 2 << 20, byteCount: 1 << 20)]
    let copy = SharedCopy(pieces.withUnsafeBufferPointer { PieceArray(copying: $0) }, copyVariant: 0)
    var count = 0
    while copy.copyNext() { count += 1 }
    #expect(count == 4)
  }
}
