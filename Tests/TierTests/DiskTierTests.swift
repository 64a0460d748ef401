import Foundation
import RoostConformance
import RoostPrimitives
import RoostSimulation
import RoostStorage
import Testing

@testable import TierDisk

@Suite struct DiskTierTests {
  private static func sheets(_ numbers: Range<UInt64>, byteCount: Int = 8192) -> [TierSheet] {
    numbers.map { TierSheet($0, byteCount: byteCount) }
  }

  private static func disk(_ faults: StorageFaults = StorageFaults(), seed: UInt64 = 1) -> SimulatedDisk {
    SimulatedDisk(seed: seed, capacityBytes: 8 << 20, faults: faults, clock: SeededClock(seed: seed))
  }

  private static func opened(_ disk: SimulatedDisk, sync: SyncPolicy = .never) throws -> DiskTier {
    let tier = try Scratch.simulated(disk, sync: sync)
    _ = try tier.recover(until: .never)
    return tier
  }

  @Test func aSecondOwnerGetsOneClearError() throws {
    try Scratch.withDirectory { path in
      let tier = try Scratch.open(path)
      let error = #expect(throws: RoostError.self) { try Scratch.open(path) }
      #expect(error?.code == .busy && error?.message.contains("process \(getpid())") == true)
      tier.close(until: Scratch.patience)
      try Scratch.open(path).close(until: Scratch.patience)
    }
  }

  @Test func aDuplicateOfTheDescriptorDoesNotKeepTheLock() throws {
    try Scratch.withDirectory { path in
      let tier = try Scratch.open(path)
      // As in a child that another thread has just forked and that does not run its program yet.
      let name = URL(fileURLWithPath: path).resolvingSymlinksInPath().path + "/lock"
      let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { CInt($0) }
      let lock = try #require(
        descriptors.first {
          (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == name
        })
      let duplicate = dup(lock)
      defer { close(duplicate) }
      tier.close(until: Scratch.patience)
      try Scratch.open(path).close(until: Scratch.patience)
    }
  }

  @Test(arguments: [DiskIO.ring, .threads]) func othersMayPollWhileATierIsClosed(io: DiskIO) throws {
    let sheets = DiskTierTests.sheets(0..<128, byteCount: 65536)
    for _ in 0..<8 {
      try Scratch.withDirectory { path in
        var configuration = Scratch.configuration(.mebibytes(24))
        configuration.depth = 64
        let tier = try DiskTier(DiskDirectory(path, io: io), configuration)
        _ = try tier.recover(until: Scratch.patience)
        _ = try tier.write(sheets)
        let isOver = Guarded(false)
        let pollers = try (0..<3).map { _ in
          try HostThread.start("poller") {
            var events: [TierEvent] = []
            while !isOver.withLock({ $0 }) { tier.poll(16, into: &events) }
          }
        }
        let copies = sheets.map { $0.blank() }
        _ = try tier.submit(TierBatch(.read, copies.map(\.forReading)))
        tier.close(until: .after(seconds: 0))
        // Their memory is free now: what is in it stays.
        let before = copies.map { Seal(over: UnsafeRawBufferPointer($0.memory)) }
        usleep(10_000)
        #expect(copies.map { Seal(over: UnsafeRawBufferPointer($0.memory)) } == before)
        isOver.withLock { $0 = true }
        for poller in pollers { poller.join() }
      }
    }
  }

  /// One segment, and pages of two sizes at once that both want it.
  @Test func sizesOfOneBatchDoNotTakeASegmentFromEachOtherForEver() throws {
    let tier = try Scratch.simulated(DiskTierTests.disk(), capacity: 256 << 10)
    _ = try tier.recover(until: .never)
    let sheets = [TierSheet(1, byteCount: 8192), TierSheet(2, byteCount: 24_576)]
    let outcomes = Guarded<[PageOutcome.Kind]>([])
    let hasEnded = HostThread.run("writer", until: Scratch.patience) {
      let kinds = (try? tier.write(sheets)) ?? []
      outcomes.withLock { $0 = kinds }
    }
    try #require(hasEnded, "the batch is never taken in")
    #expect(outcomes.withLock { Set($0) } == [.done, .throttled])
  }

  @Test func filesAreForTheirOwnerOnly() throws {
    try Scratch.withDirectory { path in
      let tier = try Scratch.open(path)
      #expect(try tier.write(DiskTierTests.sheets(0..<4)) == [.done, .done, .done, .done])
      tier.close(until: Scratch.patience)
      let manager = FileManager.default
      #expect(try manager.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o700)
      let names = try manager.contentsOfDirectory(atPath: path)
      #expect(Set(names).isSuperset(of: ["lock", "store", "snapshot", "segment-0000"]))
      for name in names {
        #expect(try manager.attributesOfItem(atPath: path + "/" + name)[.posixPermissions] as? Int == 0o600)
      }
    }
  }

  /// Blocks as the file system counts them: what `du` shows.
  @Test func allFilesTogetherStayWithinTheCapacity() throws {
    try Scratch.withDirectory { path in
      let capacity = 6 << 20
      func occupied() throws -> Int {
        var sum = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: path) + ["."] {
          var status = stat()
          #expect(stat(path + "/" + name, &status) == 0)
          sum += Int(status.st_blocks) * 512
        }
        return sum
      }
      let tier = try Scratch.open(path, Scratch.configuration(ByteCount(capacity)))
      for start in stride(from: 0, to: 1200, by: 100) as StrideTo<UInt64> {
        _ = try tier.write(DiskTierTests.sheets(start..<(start + 100)))
        #expect(try occupied() <= capacity)
      }
      #expect(tier.usage.counters.evictedCount > 0)
      #expect(try occupied() <= tier.usage.occupiedBytes)
      tier.close(until: Scratch.patience)
      #expect(try occupied() <= capacity)
      // Nearly all of it is of use.
      #expect(tier.usage.pageBytes > capacity / 2)
    }
  }

  @Test func aCleanShutdownLeavesASnapshotAndAKillDoesNot() throws {
    let disk = DiskTierTests.disk()
    let tier = try DiskTierTests.opened(disk)
    let sheets = DiskTierTests.sheets(0..<20)
    _ = try tier.write(sheets)
    tier.close(until: .never)
    let second = try Scratch.simulated(disk)
    var report = try second.recover(until: .never)
    #expect(report.usedSnapshot && report.pageCount == 20 && report.identityCount == 5)
    #expect(try second.read(sheets).allSatisfy { $0 == .done })
    disk.kill()
    let third = try Scratch.simulated(disk)
    report = try third.recover(until: .never)
    #expect(!report.usedSnapshot && report.pageCount == 20 && report.damagedCount == 0)
    #expect(try third.read(sheets).allSatisfy { $0 == .done })
  }

  @Test func aSnapshotOfAnEarlierSessionIsNotTrusted() throws {
    let disk = DiskTierTests.disk()
    let tier = try DiskTierTests.opened(disk)
    _ = try tier.write(DiskTierTests.sheets(0..<4))
    tier.close(until: .never)
    var old: [UInt8] = []
    disk.edit("snapshot") { old = $0 }
    let second = try DiskTierTests.opened(disk)
    _ = try second.run(.remove, [TierPage(TierSheet.name(0))])
    second.close(until: .never)
    disk.edit("snapshot") { $0 = old }
    let third = try Scratch.simulated(disk)
    let report = try third.recover(until: .never)
    #expect(!report.usedSnapshot && report.pageCount == 3)
  }

  @Test func theTailOfABatchGoesFirstAlsoAfterARestart() throws {
    for isRestarted in [false, true] {
      let disk = DiskTierTests.disk()
      var tier = try DiskTierTests.opened(disk)
      let perSegment = SegmentHeader.slotCount(24_576, segmentByteCount: 128 << 10)
      let slotCount = perSegment * (((1 << 20) - (64 << 10)) / (128 << 10))
      let pages = DiskTierTests.sheets(0..<UInt64(slotCount), byteCount: 24_576)
      #expect(try tier.write(pages).allSatisfy { $0 == .done })
      if isRestarted {
        disk.kill()
        tier = try DiskTierTests.opened(disk)
      }
      _ = try tier.write(DiskTierTests.sheets(1000..<1003, byteCount: 24_576))
      let outcomes = try tier.run(.contains, pages.map { TierPage($0.name) }).map(\.kind)
      #expect(outcomes.suffix(3).allSatisfy { $0 == .missing } && outcomes.dropLast(3).allSatisfy { $0 == .done })
    }
  }

  @Test func aReadMakesAPageTheLastToGo() throws {
    let tier = try DiskTierTests.opened(DiskTierTests.disk())
    var number: UInt64 = 0
    while tier.usage.counters.evictedCount == 0 {
      _ = try tier.write(DiskTierTests.sheets(number..<(number + 1)))
      number += 1
      if number > 2 { #expect(try tier.read(DiskTierTests.sheets(1..<2)) == [.done]) }
      try #require(number < 1000)
    }
    #expect(try tier.read(DiskTierTests.sheets(0..<1)) == [.missing])
  }

  @Test func aSizeWithoutASegmentTakesOneFromAnother() throws {
    let tier = try DiskTierTests.opened(DiskTierTests.disk())
    _ = try tier.write(DiskTierTests.sheets(0..<300, byteCount: 4096))
    let before = tier.usage.pageCount
    let large = DiskTierTests.sheets(1000..<1002, byteCount: 40_000)
    #expect(try tier.write(large) == [.done, .done])
    #expect(try tier.read(large) == [.done, .done])
    #expect(tier.usage.pageCount > before * 3 / 4 && tier.usage.pageCount < before)
  }

  @Test func aSizeThatCameLateTakesTheRoomOfOneThatNobodyAsksFor() throws {
    let tier = try DiskTierTests.opened(DiskTierTests.disk())
    _ = try tier.write(DiskTierTests.sheets(0..<300, byteCount: 4096))
    for number in 1000..<1200 as Range<UInt64> {
      #expect(try tier.write(DiskTierTests.sheets(number..<(number + 1), byteCount: 24_576)) == [.done])
    }
    // 7 segments of 4 slots each; all but a remainder of one segment belong to the new size.
    let usage = tier.usage
    #expect(usage.pageBytes >= 6 * 4 * 24_576, "\(usage.pageBytes) bytes of pages")
    #expect(try tier.read(DiskTierTests.sheets(1190..<1200, byteCount: 24_576)).allSatisfy { $0 == .done })
  }

  @Test func aSizeThatIsReadKeepsItsRoom() throws {
    let tier = try DiskTierTests.opened(DiskTierTests.disk())
    let old = DiskTierTests.sheets(0..<60, byteCount: 4096)
    _ = try tier.write(DiskTierTests.sheets(100..<300, byteCount: 4096))
    _ = try tier.write(old)
    for number in 1000..<1200 as Range<UInt64> {
      _ = try tier.write(DiskTierTests.sheets(number..<(number + 1), byteCount: 24_576))
      _ = try tier.read(old)
    }
    let kept = try tier.read(old).count { $0 == .done }
    #expect(kept > 40, "\(kept) of 60 pages that are read all the time are left")
  }

  @Test func aPageThatRottedIsCorruptOnceThenMissingAndStaysSetAside() throws {
    let disk = DiskTierTests.disk()
    var tier = try DiskTierTests.opened(disk)
    let sheets = DiskTierTests.sheets(0..<3)
    _ = try tier.write(sheets)
    disk.edit("segment-0000") { $0[8192 + 4096 + 100] ^= 4 }
    let outcomes = try tier.read(sheets)
    #expect(outcomes.sorted { $0.rawValue < $1.rawValue } == [.corrupt, .done, .done])
    #expect(try tier.read(sheets).count { $0 == .missing } == 1)
    #expect(tier.usage.quarantinedCount == 1)
    for _ in 0..<2 {
      tier.close(until: .never)
      disk.edit("snapshot") { $0[0] ^= 1 }
      tier = try Scratch.simulated(disk)
      let report = try tier.recover(until: .never)
      #expect(report.quarantinedCount == 1 && report.pageCount == 2)
    }
    // The page can be written again, elsewhere.
    #expect(try tier.write(sheets).allSatisfy { $0 == .done })
    #expect(try tier.read(sheets).allSatisfy { $0 == .done })
  }

  @Test func aFullDiskStopsWritingForAWhileAndReadingGoesOn() throws {
    let disk = DiskTierTests.disk()
    let tier = try DiskTierTests.opened(disk)
    let sheets = DiskTierTests.sheets(0..<10)
    #expect(try tier.write(Array(sheets.prefix(4))).allSatisfy { $0 == .done })
    var faults = StorageFaults()
    faults.full = 1000
    disk.setFaults(faults)
    #expect(try tier.write([sheets[4]]) == [.failed])
    #expect(tier.usage.isWriteStopped && tier.usage.counters.writeStopCount == 1)
    #expect(try tier.write([sheets[5]]) == [.throttled])
    #expect(try tier.read(Array(sheets.prefix(4))).allSatisfy { $0 == .done })
    disk.setFaults(StorageFaults())
    #expect(try tier.write([sheets[5]]) == [.throttled])
    // The disk's bad time is 30 operations long, the pauses between trials grow to a minute.
    var written: [PageOutcome.Kind] = []
    for _ in 0..<100 where written != [.done] {
      disk.clock.advance(nanoseconds: 61_000_000_000)
      written = try tier.write([sheets[5]])
    }
    #expect(written == [.done] && !tier.usage.isWriteStopped)
    #expect(try tier.write(Array(sheets[6...])).allSatisfy { $0 == .done })
    #expect(tier.usage.counters.writeStopCount == 1)
  }

  @Test func aPageThatCannotBeReadFailsAndIsSetAside() throws {
    let disk = DiskTierTests.disk()
    let tier = try DiskTierTests.opened(disk)
    let sheets = DiskTierTests.sheets(0..<2)
    _ = try tier.write(sheets)
    var faults = StorageFaults()
    faults.latentReadError = 1000
    disk.setFaults(faults)
    #expect(try tier.read([sheets[0]]) == [.failed])
    disk.setFaults(StorageFaults())
    #expect(try tier.read(sheets) == [.missing, .done])
    #expect(tier.usage.quarantinedCount == 1)
  }

  @Test func aSmallerCapacityKeepsWhatFitsAndALargerOneGrows() throws {
    let disk = DiskTierTests.disk()
    let tier = try DiskTierTests.opened(disk)
    let sheets = DiskTierTests.sheets(0..<70)
    _ = try tier.write(sheets)
    tier.close(until: .never)
    let small = try Scratch.simulated(disk, capacity: 512 << 10)
    let report = try small.recover(until: .never)
    #expect(report.pageCount > 10 && report.pageCount < 40)
    #expect(disk.fileNames.count { $0.hasPrefix("segment") } == 3)
    _ = try small.read(sheets)
    small.close(until: .never)
    let large = try Scratch.simulated(disk, capacity: 2 << 20)
    #expect(try large.recover(until: .never).pageCount == report.pageCount)
    #expect(disk.fileNames.count { $0.hasPrefix("segment") } == 15)
    #expect(try large.write(DiskTierTests.sheets(100..<200)).allSatisfy { $0 == .done })
  }

  @Test func aConfigurationThatCannotWorkIsRefused() throws {
    let disk = DiskTierTests.disk()
    #expect(throws: RoostError.self) { try Scratch.simulated(disk, capacity: 1000) }
    var configuration = Scratch.configuration()
    configuration.depth = 0
    #expect(throws: RoostError.self) { try DiskTier(SimulatedDirectory(disk), configuration) }
  }

  @Test func aPageBeingReadIsNotOverwrittenHoweverMuchIsWrittenMeanwhile() throws {
    let disk = DiskTierTests.disk()
    let tier = try DiskTierTests.opened(disk)
    let sheet = TierSheet(0, byteCount: 24_576)
    _ = try tier.write([sheet])
    var faults = StorageFaults()
    faults.stall = 1000
    disk.setFaults(faults)
    let copy = sheet.blank()
    let ticket = try tier.submit(TierBatch(.read, [copy.forReading]))
    disk.setFaults(StorageFaults())
    let others = DiskTierTests.sheets(1..<100, byteCount: 24_576)
    for other in others { _ = try tier.submit(TierBatch(.write, [other.forWriting])) }
    var outcome: PageOutcome?
    for _ in 0..<2000 where outcome == nil {
      var events: [TierEvent] = []
      tier.poll(100, into: &events)
      for case .page(ticket, _, let told) in events { outcome = told }
    }
    #expect(outcome?.kind == .done && copy.equals(sheet))
    tier.close(until: .never)
    withExtendedLifetime(others) {}
  }
}
