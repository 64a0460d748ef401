import RoostConformance
import RoostPrimitives
import RoostSimulation
import RoostStorage
import Testing

@testable import TierDisk

/// What happens to pages that are in use when their identity is forgotten, and to their bytes.
@Suite struct ForgetTests {
  private static let identity = TierSheet.name(0).identity

  private static func opened(_ disk: SimulatedDisk) throws -> DiskTier {
    let tier = try Scratch.simulated(disk)
    _ = try tier.recover(until: .never)
    return tier
  }

  private static func disk() -> SimulatedDisk {
    SimulatedDisk(seed: 1, capacityBytes: 8 << 20, faults: StorageFaults(), clock: SeededClock(seed: 1))
  }

  /// The outcomes of a batch that is under way.
  private func outcomes(of ticket: TierTicket, _ tier: DiskTier) throws -> [PageOutcome.Kind] {
    var kinds: [PageOutcome.Kind] = []
    for _ in 0..<10_000 {
      var events: [TierEvent] = []
      tier.poll(10, into: &events)
      for event in events {
        switch event {
        case .page(ticket, _, let outcome): kinds.append(outcome.kind)
        case .released(ticket): return kinds
        default: break
        }
      }
    }
    throw RoostError(.timedOut, "the batch does not end")
  }

  @Test func nothingOfAForgottenPageIsLeftOnTheDisk() throws {
    let disk = ForgetTests.disk()
    let tier = try ForgetTests.opened(disk)
    let sheets = (0..<10 as Range<UInt64>).map { TierSheet($0, byteCount: 10_000) }
    _ = try tier.write(sheets)
    #expect(try tier.forget(ForgetTests.identity) == 2)
    try tier.drain(until: .never)
    var bytes: [UInt8] = []
    for name in disk.fileNames { disk.edit(name) { bytes += $0 } }
    for sheet in sheets {
      let marks = [0, 4000, 9936].map { Array(sheet.memory[$0..<($0 + 64)]) }
      let isForgotten = sheet.name.identity == ForgetTests.identity
      for mark in marks { #expect(ForgetTests.contains(bytes, mark) == !isForgotten) }
    }
    #expect(try tier.read(sheets).count { $0 == .done } == 8)
  }

  /// Whether `mark` stands in `bytes` at a multiple of 8, where pages and their parts begin.
  private static func contains(_ bytes: [UInt8], _ mark: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { bytes in
      let first = mark.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
      return stride(from: 0, through: bytes.count - mark.count, by: 8).contains { offset in
        bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) == first
          && bytes[offset..<(offset + mark.count)].elementsEqual(mark)
      }
    }
  }

  @Test func aPageThatIsBeingWrittenIsForgottenToo() throws {
    let disk = ForgetTests.disk()
    let tier = try ForgetTests.opened(disk)
    let sheet = TierSheet(0, byteCount: 10_000)
    let ticket = try tier.submit(TierBatch(.write, [sheet.forWriting]))
    #expect(try tier.forget(ForgetTests.identity) == 1)
    #expect(try tier.forget(ForgetTests.identity) == 0)
    #expect(try outcomes(of: ticket, tier) == [.throttled])
    #expect(try tier.read([sheet]) == [.missing])
    try tier.drain(until: .never)
    disk.kill()
    let second = try ForgetTests.opened(disk)
    #expect(try second.read([sheet]) == [.missing])
    #expect(try second.write([sheet]) == [.done])
    #expect(try second.read([sheet]) == [.done])
    withExtendedLifetime(tier) {}
  }

  @Test func aReadThatIsUnderWayEndsWithItsPageAndNobodyWritesThereBefore() throws {
    let disk = ForgetTests.disk()
    let tier = try ForgetTests.opened(disk)
    let sheet = TierSheet(0, byteCount: 24_576)
    _ = try tier.write([sheet])
    var faults = StorageFaults()
    faults.stall = 1000
    disk.setFaults(faults)
    let copy = sheet.blank()
    let ticket = try tier.submit(TierBatch(.read, [copy.forReading]))
    disk.setFaults(StorageFaults())
    #expect(try tier.forget(ForgetTests.identity) == 1)
    let others = (1..<60 as Range<UInt64>).map { TierSheet($0, byteCount: 24_576) }
    for other in others { _ = try tier.submit(TierBatch(.write, [other.forWriting])) }
    #expect(try outcomes(of: ticket, tier) == [.done])
    #expect(copy.equals(sheet))
    try tier.drain(until: .never)
    #expect(try tier.read([sheet]) == [.missing])
    #expect(tier.usage.quarantinedCount == 0)
  }

  @Test func drainSaysThatSomethingCouldNotBeOverwritten() throws {
    let disk = ForgetTests.disk()
    let tier = try ForgetTests.opened(disk)
    _ = try tier.write([TierSheet(0, byteCount: 10_000)])
    var faults = StorageFaults()
    faults.failedWrite = 1000
    disk.setFaults(faults)
    #expect(try tier.forget(ForgetTests.identity) == 1)
    #expect(throws: RoostError.self) { try tier.drain(until: .never) }
    disk.setFaults(StorageFaults())
    #expect(try tier.read([TierSheet(0, byteCount: 10_000)]) == [.missing])
    try tier.drain(until: .never)
  }
}
