import RoostPrimitives
import RoostStorage
import Testing

@Suite struct StorageTests {
  @Test func anAddressIsTakenApart() throws {
    let address = try TierAddress(parsing: "disk:///var/lib/roost%20a?capacity=500GiB&sync=batch")
    #expect(address.scheme == "disk" && address.place == "/var/lib/roost a")
    #expect(try address.size("capacity") == .gibibytes(500))
    #expect(address.options["sync"] == "batch")
    #expect(try TierAddress(parsing: "s3://bucket/prefix").options.isEmpty)
    #expect(throws: RoostError.self) { try address.refuseOptions(except: ["capacity"]) }
  }

  @Test(arguments: [
    "", "disk", "disk:/x", "://x", "d%://x", "disk://%4", "disk://%00", "disk://x?a", "disk://x?a=1&a=2",
  ])
  func aMalformedAddressIsRefused(text: String) {
    #expect(throws: RoostError.self) { try TierAddress(parsing: text) }
  }

  @Test func theRegistryOpensByKindAndNamesWhatItKnows() throws {
    let registry = TierRegistry()
    registry.register("memory") { (address) throws(RoostError) in
      MemoryTier(capacity: try address.size("capacity") ?? .mebibytes(1))
    }
    #expect(try registry.open("memory://?capacity=2MiB").usage.capacityBytes == 2 << 20)
    let error = #expect(throws: RoostError.self) { try registry.open("tape://x") }
    #expect(error?.code == .notFound && error?.message.contains("memory") == true)
  }

  @Test func quantilesLieWithinABucketOfTheTruth() throws {
    var generator = SplitMix64(seed: 5)
    var histogram = LatencyHistogram()
    var all: [UInt64] = []
    for _ in 0..<10_000 {
      let nanoseconds =
        UInt64(Double.random(in: 3...10, using: &generator).rounded())
        * UInt64.random(in: 900...900_000, using: &generator)
      all.append(nanoseconds)
      histogram.add(nanoseconds: nanoseconds)
    }
    all.sort()
    for share in [0.01, 0.5, 0.9, 0.99, 1] {
      let truth = Double(max(1000, all[Int((share * 10_000).rounded(.up)) - 1]))
      let told = Double(try #require(histogram.quantile(share)))
      #expect(told >= truth * 0.999 && told <= truth * 1.4143, "\(share): \(told) for \(truth)")
    }
    #expect(LatencyHistogram().quantile(0.5) == nil)
  }

  @Test func observationCountsEveryPageOnce() throws {
    let clock = HandClock()
    let stuck = StuckTier()
    let tier = Observed(stuck, clock: clock)
    _ = try tier.submit(TierBatch(.read, [Sheet(1).forReading, Sheet(2).forReading]))
    clock.advance(seconds: 0.001)
    stuck.end { _ in .missing }
    #expect(tier.eventWords == ["0 missing", "1 missing", "released"])
    let latency = try #require(tier.latencies[.read])
    #expect(latency.count == 2 && latency.meanNanoseconds == 1e6)
  }

  @Test func aRemainderContinuesWhereTheFirstPartEnded() {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 8)
    defer { bytes.deallocate() }
    var whole = StorageOperation(.write, token: 1, file: NoFile(), offset: 1000)
    whole.first = UnsafeMutableRawBufferPointer(rebasing: bytes[..<40])
    whole.second = UnsafeMutableRawBufferPointer(rebasing: bytes[40...])
    for count in 0..<100 {
      let rest = whole.remainder(after: count)
      #expect(rest.offset == 1000 + count && rest.byteCount == 100 - count)
      #expect(rest.first.count > 0 && rest.first.baseAddress == bytes.baseAddress.map { $0 + count })
      if count < 40 { #expect(rest.second.count == 60) } else { #expect(rest.second.count == 0) }
    }
  }

  private final class NoFile: StorageFile {
    let byteCount = 0
    let allocatedBytes = 0
    func read(into memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(RoostError) -> Int { 0 }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(RoostError) {}
    func sync() throws(RoostError) {}
  }
}
