import RoostConformance
import RoostPrimitives
import RoostSimulation
import RoostStorage

@testable import TierDisk

/// Fuzzes what a disk tier reads from its files: the store record, segment fronts, page headers, the snapshot.
///
/// The input edits the files of a closed tier with a few pages. Its first byte chooses the file, and whether the checks
/// are made right again afterwards: without that no input would get past them, and with it every field is the fuzzer's.
/// Then the tier is opened: whatever the files say, every page that it gives out is exact, and nothing traps.
struct DiskFuzz {
  private static let sheets = (0..<10 as Range<UInt64>).map { TierSheet($0, byteCount: $0 % 2 == 0 ? 1000 : 9000) }
  private static let files = ["snapshot", "segment-0000", "segment-0001", "store"]

  private let disk = SimulatedDisk(
    seed: 1, capacityBytes: 4 << 20, faults: StorageFaults(), clock: SeededClock(seed: 1))

  func run(_ input: UnsafeBufferPointer<UInt8>) throws(RoostError) {
    guard let kind = input.first else { return }
    let first = try open()
    _ = try run(.write, DiskFuzz.sheets.map(\.forWriting), on: first)
    first.close(until: .never)
    let name = DiskFuzz.files[Int(kind & 3)]
    disk.edit(name) { bytes in
      for edit in stride(from: 1, through: input.count - 3, by: 3) {
        let wanted = Int(input[edit]) | Int(input[edit + 1]) << 8
        bytes[DiskFuzz.place(wanted, in: name, bytes.count)] = input[edit + 2]
      }
      if kind & 4 != 0 { DiskFuzz.mend(&bytes, name) }
    }
    if kind & 8 != 0 { disk.kill() }
    for _ in 0..<2 { try use() }
  }

  /// Opens the tier and does everything once.
  private func use() throws(RoostError) {
    let tier = try open()
    defer { tier.close(until: .never) }
    let copies = DiskFuzz.sheets.map { $0.blank() }
    for (index, outcome) in try run(.read, copies.map(\.forReading), on: tier).enumerated() {
      guard case .done(let facts) = outcome else { continue }
      let isExact = copies[index].equals(DiskFuzz.sheets[index]) && facts.byteCount == copies[index].byteCount
      precondition(isExact, "A WRONG BYTE in page \(index)")
    }
    _ = try run(.write, DiskFuzz.sheets.map(\.forWriting), on: tier)
    _ = try tier.forget(DiskFuzz.sheets[0].name.identity)
    let usage = tier.usage
    precondition(usage.pageCount >= 0 && usage.pageBytes >= 0 && usage.quarantinedCount >= 0, "counters are off")
  }

  private func open() throws(RoostError) -> DiskTier {
    var configuration = DiskTierConfiguration(capacity: .kibibytes(512))
    configuration.segment = .kibibytes(128)
    configuration.depth = 4
    configuration.scanThreadCount = 1
    configuration.clock = disk.clock
    configuration.wallSeconds = { 0 }
    configuration.seed = 1
    let tier = try DiskTier(SimulatedDirectory(disk), configuration)
    _ = try tier.recover(until: .never)
    return tier
  }

  private func run(_ verb: TierVerb, _ pages: [TierPage], on tier: DiskTier) throws(RoostError) -> [PageOutcome] {
    let ticket = try tier.submit(TierBatch(verb, pages))
    var outcomes = [PageOutcome](repeating: .missing, count: pages.count)
    for _ in 0..<100_000 {
      var events: [TierEvent] = []
      tier.poll(100, into: &events)
      for event in events {
        switch event {
        case .page(ticket, let index, let outcome): outcomes[index] = outcome
        case .released(ticket): return outcomes
        default: break
        }
      }
    }
    preconditionFailure("a batch never ends")
  }

  // MARK: The formats

  private static func slotOffsets(_ bytes: [UInt8]) -> [Int] {
    guard bytes.count > Limits.segmentFrontBytes else { return [] }
    let size = bytes.withUnsafeBytes { Int(truncatingIfNeeded: $0.loadUnaligned(fromByteOffset: 32, as: UInt64.self)) }
    guard size > 0, size < bytes.count else { return [] }
    return Array(stride(from: Limits.segmentFrontBytes, to: bytes.count - 4096, by: size + Limits.granuleBytes))
  }

  /// Brings an offset of the input to where fields are.
  private static func place(_ wanted: Int, in name: String, _ count: Int) -> Int {
    let place: Int
    switch name {
    case "store": place = wanted % 64
    case "snapshot":
      let offset = wanted % 2048
      place = offset < 64 ? offset : Limits.granuleBytes + offset - 64
    default:
      let offset = wanted % 2048
      if offset < 144 {
        place = offset % 72 + offset / 72 * Limits.granuleBytes
      } else {
        // Slots of 4 and of 12 KiB begin at multiples of 8 KiB, their pages 4 KiB later.
        place = Limits.segmentFrontBytes + (offset - 144) / 176 * 8192 + (offset - 144) % 176
      }
    }
    return min(place, count - 1)
  }

  private static func mend(_ bytes: inout [UInt8], _ name: String) {
    switch name {
    case "store": seal(&bytes, 0..<48, at: 48)
    case "snapshot":
      seal(&bytes, 0..<56, at: 56)
      if bytes.count > 4096 + 32 { seal(&bytes, (4096 + 16)..<bytes.count, at: 4096) }
    default:
      for copy in [0, Limits.granuleBytes] { seal(&bytes, copy..<(copy + 56), at: copy + 56) }
      for offset in slotOffsets(bytes) where bytes[offset] != 0 {
        seal(&bytes, offset..<(offset + 160), at: offset + 160)
      }
    }
  }

  private static func seal(_ bytes: inout [UInt8], _ range: Range<Int>, at offset: Int) {
    guard range.upperBound <= bytes.count, offset + 16 <= bytes.count else { return }
    bytes.withUnsafeMutableBytes { all in
      let seal = Seal(over: UnsafeRawBufferPointer(rebasing: all[range]))
      all.storeBytes(of: seal.low.littleEndian, toByteOffset: offset, as: UInt64.self)
      all.storeBytes(of: seal.high.littleEndian, toByteOffset: offset + 8, as: UInt64.self)
    }
  }
}

/// One input.
@c(roost_fuzz_disk) public func fuzzDisk(_ data: UnsafePointer<UInt8>, _ size: Int) {
  // An error is an answer; a trap is not.
  try? DiskFuzz().run(UnsafeBufferPointer(start: data, count: size))
}
