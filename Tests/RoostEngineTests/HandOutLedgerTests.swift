import RoostBlocks
import RoostPool
import RoostPrimitives
import Testing

@testable import RoostEngine

/// Workers here are attachments of a real pool: nobody else can name one.
@Suite struct HandOutLedgerTests {
  static let lease = LeaseID(rawValue: 1 << 32)
  static let request = RequestID(rawValue: 7)

  /// So many different attachments.
  static func workers(_ count: Int) throws -> (workers: [AttachmentID], hold: [PoolAttachment], pool: Pool) {
    let pool = try Pool.open(
      PoolConfiguration(name: Harness.uniqueName(), capacity: .kibibytes(64), slotByteCounts: [4096]))
    let hold = try (0..<count).map { _ in try PoolAttachment.attach(to: pool.address, until: Harness.soon) }
    return (hold.map(\.id), hold, pool)
  }

  static func report(
    _ shard: Int, _ status: HandOutLedger.Report.Status = .done, failed: [UInt32] = []
  ) -> HandOutLedger.Report {
    HandOutLedger.Report(
      lease: lease, shard: shard, status: status, byteCount: 10, nanoseconds: UInt64(shard + 1) * 1_000_000_000,
      failedPages: failed.map {
        HandOutLedger.FailedPage(position: $0, slot: SlotNumber(rawValue: 100 + $0), generation: 1)
      })
  }

  static func ledger(_ workers: [AttachmentID], shards: Int? = nil) -> HandOutLedger {
    var ledger = HandOutLedger()
    for (shard, worker) in workers.enumerated() {
      ledger.join(worker)
      ledger.serve(worker, group: 0, shard: shard)
    }
    let settlement = ledger.begin(lease, .store, request, shardCount: shards ?? workers.count)
    #expect(settlement == nil)
    return ledger
  }

  @Test func aLeaseIsSettledByTheLastShardAndAddsUpWhatAllReported() throws {
    let (workers, hold, pool) = try Self.workers(3)
    var ledger = Self.ledger(workers)
    let answer1 = ledger.report(Self.report(2, failed: [5, 1]), from: workers[2])
    #expect(answer1 == nil)
    let answer2 = ledger.report(Self.report(0), from: workers[0])
    #expect(answer2 == nil)
    let answer3 = ledger.report(Self.report(1, failed: [1]), from: workers[1])
    let settlement = try #require(answer3)
    #expect(settlement.result.outcome == .done)
    #expect(settlement.result.failedPositions == [1, 5])
    #expect(Set(settlement.failedPages.map(\.slot.rawValue)) == [101, 105])
    #expect(settlement.result.byteCount == 30 && settlement.result.seconds == 3)
    #expect(!ledger.contains(Self.lease) && ledger.abandoned.isEmpty)
    withExtendedLifetime((hold, pool)) {}
  }

  @Test func whatIsSaidTwiceOrByStrangersOrOfUnknownLeasesChangesNothing() throws {
    let (workers, hold, pool) = try Self.workers(3)
    var ledger = Self.ledger(Array(workers.prefix(2)))
    let answer4 = ledger.report(Self.report(0), from: workers[0])
    #expect(answer4 == nil)
    let answer5 = ledger.report(Self.report(0), from: workers[0])
    #expect(answer5 == nil)
    // The first worker's word does not count for the second's shard.
    let answer6 = ledger.report(Self.report(1), from: workers[0])
    #expect(answer6 == nil)
    let answer7 = ledger.report(Self.report(1), from: workers[2])
    #expect(answer7 == nil, "a stranger")
    var unknown = Self.report(1)
    unknown.lease = LeaseID(rawValue: 99)
    let answer8 = ledger.report(unknown, from: workers[1])
    #expect(answer8 == nil)
    #expect(ledger.contains(Self.lease))
    let answer9 = ledger.report(Self.report(1), from: workers[1])
    #expect(answer9?.result.outcome == .done)
    withExtendedLifetime((hold, pool)) {}
  }

  @Test(arguments: [HandOutLedger.Report.Status.cancelled, .failed])
  func oneShardThatFailsDecidesForAllButTheOthersAreWaitedFor(_ status: HandOutLedger.Report.Status) throws {
    let (workers, hold, pool) = try Self.workers(2)
    var ledger = Self.ledger(workers)
    let answer10 = ledger.report(Self.report(0, status), from: workers[0])
    #expect(answer10 == nil)
    let answer11 = ledger.report(Self.report(1), from: workers[1])
    let settlement = try #require(answer11)
    #expect(settlement.result.outcome == (status == .failed ? .lost : .cancelled))
    #expect(ledger.abandoned == [Self.lease])
    withExtendedLifetime((hold, pool)) {}
  }

  @Test func aWorkerThatIsGoneLosesItsShardUnlessItHasReported() throws {
    let (workers, hold, pool) = try Self.workers(2)
    var ledger = Self.ledger(workers)
    let answer12 = ledger.report(Self.report(0), from: workers[0])
    #expect(answer12 == nil)
    let answer13 = ledger.leave(workers[0])
    #expect(answer13.isEmpty)
    let settlements = ledger.leave(workers[1])
    #expect(settlements.map(\.result.outcome) == [.lost])
    // And what is handed out to its shard from now on is lost at once.
    let answer14 = ledger.begin(LeaseID(rawValue: 2), .load, Self.request, shardCount: 2)
    #expect(answer14?.result.outcome == .lost)
    withExtendedLifetime((hold, pool)) {}
  }

  @Test func aShardIsLostWithItsWorkerThoughAnotherHoldsThatShardOfAnotherGroup() throws {
    let (workers, hold, pool) = try Self.workers(2)
    var ledger = HandOutLedger()
    for (shard, worker) in workers.enumerated() {
      ledger.join(worker)
      ledger.serve(worker, group: 0, shard: shard)
      ledger.serve(worker, group: 1, shard: 1 - shard)
    }
    let begun = ledger.begin(Self.lease, .store, Self.request, group: 0, shardCount: 2)
    #expect(begun == nil)
    let first = ledger.report(Self.report(0), from: workers[0])
    #expect(first == nil)
    // The first worker holds shard 1 of the other group: it writes nothing of this one.
    let settlements = ledger.leave(workers[1])
    #expect(settlements.map(\.result.outcome) == [.lost])
    let second = ledger.begin(LeaseID(rawValue: 2), .load, Self.request, group: 1, shardCount: 2)
    #expect(second?.result.outcome == nil, "the first worker serves its shard of the other group")
    let third = ledger.leave(workers[0])
    #expect(third.map(\.result.outcome) == [.lost])
    withExtendedLifetime((hold, pool)) {}
  }

  @Test func aShardThatAWorkerNeverWroteIsLostWithItThoughItReportedAnother() throws {
    let (workers, hold, pool) = try Self.workers(1)
    var ledger = HandOutLedger()
    ledger.join(workers[0])
    for shard in 0..<2 { ledger.serve(workers[0], group: 0, shard: shard) }
    let begun = ledger.begin(Self.lease, .store, Self.request, shardCount: 2)
    #expect(begun == nil)
    let first = ledger.report(Self.report(0), from: workers[0])
    #expect(first == nil)
    let settlements = ledger.leave(workers[0])
    #expect(settlements.map(\.result.outcome) == [.lost])
    withExtendedLifetime((hold, pool)) {}
  }

  @Test func aWithdrawnLeaseWaitsForEveryWorkerThatHasNotSpoken() throws {
    let (workers, hold, pool) = try Self.workers(3)
    var ledger = Self.ledger(workers)
    let answer15 = ledger.report(Self.report(0), from: workers[0])
    #expect(answer15 == nil)
    let (tell, settlement) = ledger.withdraw(Self.lease)
    #expect(Set(tell) == [workers[1], workers[2]] && settlement == nil)
    let answer16 = ledger.withdraw(Self.lease)
    #expect(answer16.tell.isEmpty, "once is enough")
    let answer17 = ledger.leave(workers[2])
    #expect(answer17.isEmpty)
    let answer18 = ledger.report(Self.report(1), from: workers[1])
    let end = try #require(answer18)
    #expect(end.result.outcome != .done)
    #expect(ledger.abandoned == [Self.lease])
    withExtendedLifetime((hold, pool)) {}
  }

  @Test func aWithdrawnLeaseThatNobodyCanHoldIsSettledAtOnceAndNewcomersAreWarned() {
    var ledger = Self.ledger([], shards: 2)
    let (tell, settlement) = ledger.withdraw(Self.lease)
    #expect(tell.isEmpty && settlement?.result.outcome == .cancelled)
    #expect(ledger.abandoned == [Self.lease])
  }

  @Test func theLeasesOfARequestAreFound() {
    var ledger = Self.ledger([], shards: 1)
    let answer19 = ledger.begin(LeaseID(rawValue: 5), .load, RequestID(rawValue: 8), shardCount: 1)
    #expect(answer19 == nil)
    #expect(ledger.leases(of: Self.request) == [Self.lease])
    #expect(ledger.leases(of: RequestID(rawValue: 9)).isEmpty)
    #expect(ledger.count == 2)
  }
}
