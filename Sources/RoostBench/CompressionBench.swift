import Glibc
import RoostPrimitives
import RoostStorage

/// `roost bench compression`: what the `Compressed` decorator does to pages, through a tier in memory: seals and the
/// copies of that tier included. `ROOST_BENCH_PAGES` names a file of page bytes, such as `make kv-bytes` writes of a
/// real model; without it the pages are bf16 numbers of a normal distribution, which is what hardly packs.
public enum CompressionBench {
  /// The workload for `Benches.all`.
  public static let bench = Bench(
    name: "compression", summary: "packing pages with zstd, sign and exponent apart from the mantissa"
  ) { (scale) throws(RoostError) in
    let bytes = try CompressionBench.bytes(scale)
    let sampleCount = scale == .full ? 9 : 1
    var results: [BenchResult] = []
    for level in [1, 3] { results += try CompressionBench.measure(bytes, level: level, sampleCount: sampleCount) }
    return results
  }

  private static let pageBytes = 256 << 10

  private static func bytes(_ scale: BenchScale) throws(RoostError) -> [UInt8] {
    let most = scale == .full ? 64 << 20 : 4 << 20
    guard let path = getenv("ROOST_BENCH_PAGES") else { return normal(byteCount: most) }
    let number = open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else {
      throw .system("open", errno, "cannot read the pages", context: [("path", String(cString: path))])
    }
    defer { close(number) }
    var bytes = [UInt8](repeating: 0, count: most)
    var count = 0
    while count < most {
      let got = bytes.withUnsafeMutableBytes { read(number, $0.baseAddress.map { $0 + count }, most - count) }
      guard got > 0 else { break }
      count += got
    }
    guard count >= pageBytes else {
      throw RoostError(.invalidInput, "a file of pages has at least \(ByteCount(pageBytes))")
    }
    return Array(bytes[..<(count / pageBytes * pageBytes)])
  }

  /// bf16 numbers of a normal distribution: sums of twelve uniform ones.
  private static func normal(byteCount: Int) -> [UInt8] {
    var generator = SplitMix64(seed: 1)
    var bytes = [UInt8](repeating: 0, count: byteCount)
    for offset in stride(from: 0, to: byteCount, by: 2) {
      var sum: Float = -6
      for _ in 0..<3 {
        let word = generator.next()
        for part in 0..<4 { sum += Float(truncatingIfNeeded(word >> (16 * UInt64(part)))) / 65536 }
      }
      let bits = UInt16(sum.bitPattern >> 16)
      bytes[offset] = UInt8(bits & 0xFF)
      bytes[offset + 1] = UInt8(bits >> 8)
    }
    return bytes
  }

  private static func truncatingIfNeeded(_ word: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: word) }

  private static func measure(_ bytes: [UInt8], level: Int, sampleCount: Int) throws(RoostError) -> [BenchResult] {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 4096)
    defer { memory.deallocate() }
    memory.copyBytes(from: bytes)
    var (packed, unpacked, ratios) = ([Double](), [Double](), [Double]())
    for _ in 0..<sampleCount {
      let tier = Compressed(MemoryTier(capacity: ByteCount(2 * bytes.count)), level: level)
      _ = try tier.recover(until: .never)
      let pages = pages(memory)
      packed.append(
        Double(bytes.count) / 1e9 / (try Sampling.seconds { () throws(RoostError) in try run(.write, pages, tier) }))
      unpacked.append(
        Double(bytes.count) / 1e9 / (try Sampling.seconds { () throws(RoostError) in try run(.read, pages, tier) }))
      let statistics = tier.statistics
      let plain = statistics.plainCount * pageBytes
      ratios.append(Double(bytes.count) / Double(max(1, statistics.packedBytes + plain)))
      tier.close(until: .never)
      guard memory.elementsEqual(bytes) else { throw RoostError(.corrupt, "a page came back wrong") }
    }
    return [
      BenchResult(name: "pack/level\(level)", unit: "GB/s", samples: packed),
      BenchResult(name: "unpack/level\(level)", unit: "GB/s", samples: unpacked),
      BenchResult(name: "ratio/level\(level)", unit: "x", samples: ratios),
    ]
  }

  private static func pages(_ memory: UnsafeMutableRawBufferPointer) -> [TierPage] {
    (0..<(memory.count / pageBytes)).map { index in
      let part = UnsafeMutableRawBufferPointer(rebasing: memory[(index * pageBytes)..<((index + 1) * pageBytes)])
      let key = Key(identity: IdentityID(rawValue: 0), group: 0, words: (SplitMix64.mix(UInt64(index)), 0, 0, 0))
      let facts = PageFacts(byteCount: pageBytes, seal: Seal(over: UnsafeRawBufferPointer(part)))
      return TierPage(PageName(key, identity: IdentityDigest(words: (1, 2, 3, 4))), memory: part, facts: facts)
    }
  }

  private static func run(_ verb: TierVerb, _ pages: [TierPage], _ tier: Compressed) throws(RoostError) {
    for start in stride(from: 0, to: pages.count, by: 16) {
      _ = try tier.submit(TierBatch(verb, Array(pages[start..<min(pages.count, start + 16)])))
      var isReleased = false
      while !isReleased {
        var events: [TierEvent] = []
        tier.poll(64, into: &events)
        for event in events {
          switch event {
          case .released: isReleased = true
          case .page(_, _, .done): break
          case .page(_, _, let outcome): throw RoostError(.system, "a page of the bench is \(outcome)")
          }
        }
      }
    }
  }
}
