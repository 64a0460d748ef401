import RoostPrimitives
import RoostStorage
import Testing

@Suite struct CompressedTests {
  private static func memory() throws -> MemoryTier {
    let tier = MemoryTier(capacity: .mebibytes(16))
    _ = try tier.recover(until: .never)
    return tier
  }

  /// Values like those of a model: bf16 around zero, noise in the mantissa.
  private static func values(_ seed: UInt64, byteCount: Int) -> Sheet {
    Sheet(seed, byteCount: byteCount) { index in
      let noise = SplitMix64.mix(seed &* 31 &+ UInt64(index))
      return index % 2 == 0 ? UInt8(truncatingIfNeeded: noise) : UInt8(0x3D + noise % 4)
    }
  }

  @Test(arguments: [1, 2, 3, 31, 32, 33, 4095, 4096, 65536, 65537])
  func pagesOfEveryLengthComeBackAsTheyWere(byteCount: Int) throws {
    let tier = Compressed(try CompressedTests.memory())
    for sheet in [Sheet(1, byteCount: byteCount), CompressedTests.values(2, byteCount: byteCount)] {
      let before = (sheet.bytes, sheet.facts)
      #expect(try tier.outcomes(.write, [sheet.forWriting]).map(\.kind) == [.done])
      sheet.memory.copyBytes(from: [UInt8](repeating: 0xEE, count: byteCount))
      let outcome = try tier.outcomes(.read, [sheet.forReading])
      #expect(outcome.first?.facts == before.1)
      #expect(sheet.bytes == before.0)
    }
  }

  @Test func valuesGetSmallerAndNoiseIsStoredAsItIs() throws {
    let inner = try CompressedTests.memory()
    let tier = Compressed(inner)
    _ = try tier.outcomes(.write, [CompressedTests.values(1, byteCount: 1 << 16).forWriting])
    #expect(tier.statistics.packedBytes < (1 << 16) * 3 / 4)
    #expect(inner.usage.pageBytes == tier.statistics.packedBytes)
    _ = try tier.outcomes(.write, [Sheet(2, byteCount: 1 << 16).forWriting])
    #expect(tier.statistics.plainCount == 1)
    #expect(inner.usage.pageBytes == tier.statistics.packedBytes + 1 << 16)
  }

  @Test func aReaderWithoutTheDecoratorSeesThatThePageIsPacked() throws {
    let inner = try CompressedTests.memory()
    let sheet = CompressedTests.values(1, byteCount: 1 << 16)
    _ = try Compressed(inner).outcomes(.write, [sheet.forWriting])
    #expect(try inner.outcomes(.read, [sheet.forReading]).first?.facts?.representation.codec == .zstdBytePlanes)
  }

  @Test func pagesWrittenWithoutTheDecoratorAreReadWithIt() throws {
    let inner = try CompressedTests.memory()
    let sheet = CompressedTests.values(1, byteCount: 1 << 16)
    let before = sheet.bytes
    _ = try inner.outcomes(.write, [sheet.forWriting])
    sheet.memory.copyBytes(from: [UInt8](repeating: 0, count: 1 << 16))
    #expect(try Compressed(inner).outcomes(.read, [sheet.forReading]).map(\.kind) == [.done])
    #expect(sheet.bytes == before)
  }

  /// 500 packed pages with a changed bit, whose outer seal was made to match, as a hostile or broken writer could.
  @Test func aDamagedPackedPageIsCorruptWhateverItsOuterSealSays() throws {
    for seed in 1...500 as ClosedRange<UInt64> {
      let inner = try CompressedTests.memory()
      let tier = Compressed(inner)
      let sheet = CompressedTests.values(seed, byteCount: 2048)
      let before = sheet.bytes
      _ = try tier.outcomes(.write, [sheet.forWriting])
      let packed = Sheet(seed, byteCount: 2048)
      let stored = try #require(try inner.outcomes(.read, [packed.forReading]).first?.facts)
      let bytes = UnsafeMutableRawBufferPointer(rebasing: packed.memory[..<stored.byteCount])
      var generator = SplitMix64(seed: seed)
      bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^= UInt8(1 << Int.random(in: 0..<8, using: &generator))
      let forged = PageFacts(
        byteCount: bytes.count, seal: Seal(over: UnsafeRawBufferPointer(bytes)), representation: stored.representation)
      _ = try inner.outcomes(.remove, [TierPage(sheet.name)])
      _ = try inner.outcomes(.write, [TierPage(sheet.name, memory: bytes, facts: forged)])
      let outcome = try tier.outcomes(.read, [sheet.forReading])
      // Some bits mean nothing (a reserved byte, a spare bit of the last byte): then the page is whole.
      let isWhole = outcome.first?.kind == .done && sheet.bytes == before
      #expect(outcome.first?.kind == .corrupt || isWhole, "seed \(seed)")
      if outcome.first?.kind == .corrupt {
        #expect(try inner.outcomes(.contains, [TierPage(sheet.name)]).map(\.kind) == [.missing], "seed \(seed)")
      }
    }
  }

  @Test func moreThanItHoldsIsThrottledAndNothingLeaks() throws {
    let stuck = StuckTier()
    let tier = Compressed(stuck)
    let sheets = (0..<40).map { CompressedTests.values($0, byteCount: 4096) }
    _ = try tier.submit(TierBatch(.write, sheets.map(\.forWriting)))
    _ = try tier.submit(TierBatch(.write, sheets.map(\.forWriting)))
    #expect(tier.eventWords.count { $0.hasSuffix("throttled") } == 40)
    stuck.end { .done($0.facts) }
    #expect(tier.eventWords.count { $0.hasSuffix("done") } == 40)
    _ = try tier.submit(TierBatch(.write, sheets.map(\.forWriting)))
    #expect(stuck.batches.count == 1)
    tier.close(until: .never)
  }
}
