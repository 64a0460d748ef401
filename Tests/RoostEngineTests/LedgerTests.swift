import RoostBlocks
import RoostPool
import RoostPrimitives
import Testing

@testable import RoostEngine

/// The small state machines of the engine, each by itself.
@Suite struct LedgerTests {
  private static let lease = LeaseID(rawValue: 5)
  private static let other = LeaseID(rawValue: 6)

  @Test func aFenceFallsWithTheLastJobOfItsLeaseInItsAttachment() {
    var ledger = FenceLedger()
    ledger.begin(LedgerTests.lease, 3)
    ledger.begin(LedgerTests.lease, 3)
    ledger.begin(LedgerTests.lease, 4)
    ledger.begin(LedgerTests.other, 3)
    let first = ledger.end(LedgerTests.lease, 3)
    #expect(!first)
    let last = ledger.end(LedgerTests.lease, 3)
    #expect(last)
    let further = ledger.end(LedgerTests.lease, 3)
    #expect(!further, "an end without a beginning is ignored")
    #expect(ledger.hasJobs(in: 3) && ledger.hasJobs(in: 4))
    ledger.remove(attachment: 3)
    #expect(!ledger.hasJobs(in: 3))
    let afterRemoval = ledger.end(LedgerTests.other, 3)
    #expect(!afterRemoval)
    let elsewhere = ledger.end(LedgerTests.lease, 4)
    #expect(elsewhere)
  }

  @Test func aJobInPartsEndsWithTheLastOneAndCountsBlocksFromItsOwnStart() throws {
    var jobs = RemoteJobs(firstID: 100)
    let started = jobs.begin(lease: LedgerTests.lease, blockCount: 7, parts: [0, 4])
    let begun = try #require(started)
    let first = jobs.end(begun.parts[1], report(begun.parts[1], failed: [2, 3, .max]))
    #expect(first == nil)
    guard case .running = jobs.take(begun.job) else {
      Issue.record("the job ended with one of its parts")
      return
    }
    let lease = jobs.end(begun.parts[0], report(begun.parts[0], failed: [1]))
    #expect(lease == LedgerTests.lease)
    let ended = jobs.takeEnded(countMax: 9)
    let result = try #require(ended.first)
    // Block 3 of the second part would be block 7 of the job, which has none: what a worker says is not believed.
    #expect(result.failedBlocks == [1, 6])
    let repeated = jobs.end(begun.parts[0], report(begun.parts[0]))
    #expect(repeated == nil, "said twice")
    let invented = jobs.end(JobID(rawValue: 9999), report(JobID(rawValue: 9999)))
    #expect(invented == nil, "invented")
    let left = jobs.takeEnded(countMax: 9)
    #expect(left.isEmpty)
  }

  @Test func sumsOfWhatAWorkerReportsDoNotOverflow() throws {
    var jobs = RemoteJobs(firstID: 1)
    let started = jobs.begin(lease: LedgerTests.lease, blockCount: 2, parts: [0, 1])
    let begun = try #require(started)
    for part in begun.parts {
      _ = jobs.end(
        part, .init(id: part, status: .done, byteCount: .max, nanoseconds: .max, wrongByteCount: .max, failedBlocks: [])
      )
    }
    let ended = jobs.takeEnded(countMax: 1)
    let result = try #require(ended.first)
    #expect(result.byteCount == .max)
    #expect(result.wrongByteCount == .max)
  }

  @Test func aLostWorkersJobsFailWholeAndNothingStartsAfter() throws {
    var jobs = RemoteJobs(firstID: 1)
    let started = jobs.begin(lease: LedgerTests.lease, blockCount: 3, parts: [0])
    let begun = try #require(started)
    jobs.lose()
    let ended = jobs.takeEnded(countMax: 1)
    let result = try #require(ended.first)
    #expect(result.job == begun.job)
    #expect(result.failedBlocks == [0, 1, 2])
    #expect(!result.isComplete)
    let next = jobs.begin(lease: nil, blockCount: 1, parts: [0])
    #expect(next == nil)
    let late = jobs.end(begun.parts[0], report(begun.parts[0]))
    #expect(late == nil, "a word that arrives after the worker's end")
  }

  @Test func pagesAreSealedInTheOrderOfTheirPublicationAndOnlyThen() {
    var ledger = SealLedger()
    ledger.isActive = true
    ledger.isSealing = true
    begin(&ledger, LedgerTests.lease, slots: [1, 2, 3])
    begin(&ledger, LedgerTests.other, slots: [4])
    #expect(!ledger.hasWork)
    ledger.published(LedgerTests.other)
    ledger.published(LedgerTests.lease)
    ledger.published(LedgerTests.lease)
    let published = ledger.take(countMax: 2)
    #expect(published.map(\.slot.rawValue) == [4, 1])
    let second = ledger.take(countMax: 1)
    ledger.putBack(second)
    let rest = ledger.take(countMax: 9)
    #expect(rest.map(\.slot.rawValue) == [3, 2])
    #expect(!ledger.hasWork)
  }

  @Test func aStoreThatWasGivenUpIsNotSealed() {
    var ledger = SealLedger()
    ledger.isActive = true
    ledger.isSealing = true
    begin(&ledger, LedgerTests.lease, slots: [1])
    begin(&ledger, LedgerTests.other, slots: [2])
    ledger.dropped(LedgerTests.lease)
    ledger.published(LedgerTests.lease)
    ledger.prune { $0 != LedgerTests.other }
    ledger.published(LedgerTests.other)
    #expect(!ledger.hasWork)
  }

  private func report(_ part: JobID, failed: [UInt32] = []) -> WorkerMessage.JobReport {
    WorkerMessage.JobReport(id: part, status: .done, failedBlocks: failed)
  }

  private func begin(_ ledger: inout SealLedger, _ lease: LeaseID, slots: [UInt32]) {
    let keys = slots.map { Key(identity: IdentityID(rawValue: 0), group: 0, words: (UInt64($0), 0, 0, 0)) }
    var grants = slots.map { StoreGrant(outcome: .admitted, slot: SlotNumber(rawValue: $0), generation: 1) }
    keys.withUnsafeBufferPointer { keys in
      grants.withUnsafeMutableBufferPointer { ledger.begin(lease, keys, $0) }
    }
  }
}
