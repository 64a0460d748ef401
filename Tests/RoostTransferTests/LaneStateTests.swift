import RoostPrimitives
import Testing

@testable import RoostTransfer

@Suite struct LaneStateTests {
  private typealias Lane = LaneState<Int, Int>

  /// The macro cannot take mutating calls.
  private func expect(_ isTrue: Bool, _ comment: String = "", sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(isTrue, Comment(rawValue: comment), sourceLocation: sourceLocation)
  }

  private func ticket(_ count: UInt64) -> TransferTicket { TransferTicket(count: count, direction: .store) }

  private let failure = RoostError(.lost, "gone")

  @Test func startsAtOnceWhatFitsAndNothingIsBefore() {
    var lane = Lane()
    expect(lane.reserveStart(ticket(77), byteCount: 100, isStaged: false))
    expect(!lane.isIdle)
    expect(lane.isWaiting(ticket(77)), "a job that is being started is nowhere")
    expect(!lane.reserveStart(ticket(77), byteCount: 100, isStaged: false), "two starts at a time")
    lane.started(ticket(1), byteCount: 100, 1)
    expect(lane.reserveStart(ticket(77), byteCount: 100, isStaged: false))
    lane.abandonStart()
    lane.enqueue(ticket(2), byteCount: 1, isStaged: false, 2)
    expect(!lane.reserveStart(ticket(77), byteCount: 1, isStaged: false), "overtakes a waiting job")
    var empty = Lane()
    expect(!empty.reserveStart(ticket(77), byteCount: 1, isStaged: true), "the caller is not to be blocked by staging")
  }

  @Test func holdsJobsBackWhenTheDeviceHasEnough() {
    var lane = Lane()
    for count in 1...UInt64(Limits.runningJobCountMax) {
      expect(lane.reserveStart(ticket(77), byteCount: 1, isStaged: false))
      lane.started(ticket(count), byteCount: 1, 0)
    }
    expect(!lane.reserveStart(ticket(77), byteCount: 1, isStaged: false))
    lane.enqueue(ticket(100), byteCount: 1, isStaged: false, 7)
    guard case .blocked = lane.next() else { Issue.record("not blocked"); return }
    expect(lane.endFirstRunning()?.ticket == ticket(1))
    guard case .start(ticket(100), 7, isStaged: false) = lane.next() else { Issue.record("not started"); return }
    guard case .busy = lane.next() else { Issue.record("a second start while one is going on"); return }
    lane.started(ticket(100), byteCount: 1, 7)
    guard case .idle = lane.next() else { Issue.record("not idle"); return }
  }

  @Test func holdsJobsBackByBytesButNeverTheOnlyOne() {
    var lane = Lane()
    expect(lane.reserveStart(ticket(77), byteCount: Limits.runningBytesMax * 2, isStaged: false))
    lane.started(ticket(1), byteCount: Limits.runningBytesMax * 2, 0)
    expect(!lane.reserveStart(ticket(77), byteCount: 1, isStaged: false))
    _ = lane.endFirstRunning()
    expect(lane.reserveStart(ticket(77), byteCount: 1, isStaged: false))
  }

  @Test func runsOneStagedJobAtATimeAndNothingBesideIt() {
    var lane = Lane.staged
    guard case .start(_, _, isStaged: true) = lane.next() else { Issue.record("not started"); return }
    expect(lane.stagedTicket == ticket(1))
    expect(lane.isWaiting(ticket(1)))
    lane.enqueue(ticket(2), byteCount: 1, isStaged: false, 2)
    guard case .busy = lane.next() else { Issue.record("not busy"); return }
    expect(!lane.reserveStart(ticket(77), byteCount: 1, isStaged: false))
    lane.endStaging()
    guard case .start(ticket(2), 2, isStaged: false) = lane.next() else { Issue.record("not started"); return }
  }

  @Test func leavesStagedJobsToWhoHasStagingMemory() {
    var lane = Lane()
    lane.enqueue(ticket(1), byteCount: 1, isStaged: true, 1)
    lane.enqueue(ticket(2), byteCount: 1, isStaged: false, 2)
    guard case .busy = lane.next(canStage: false) else { Issue.record("took a staged job, or the one behind"); return }
    guard case .start(ticket(1), 1, isStaged: true) = lane.next() else {
      Issue.record("the staged job is gone")
      return
    }
  }

  @Test func startsNothingAfterAFailureUntilAllHasEnded() {
    var lane = Lane()
    for count in 1...2 as ClosedRange<UInt64> {
      expect(lane.reserveStart(ticket(77), byteCount: 1, isStaged: false))
      lane.started(ticket(count), byteCount: 1, 0)
    }
    expect(lane.reserveStart(ticket(77), byteCount: 1, isStaged: false))
    lane.fail(failure)
    lane.fail(RoostError(.timedOut, "later"))
    expect(lane.failure?.code == .lost, "the first failure counts")
    _ = lane.endFirstRunning()
    _ = lane.endFirstRunning()
    expect(!lane.recovered(), "recovered under a job that is being started")
    lane.started(ticket(3), byteCount: 1, 0)
    expect(!lane.recovered())
    expect(!lane.reserveStart(ticket(77), byteCount: 1, isStaged: false))
    lane.enqueue(ticket(4), byteCount: 1, isStaged: false, 4)
    guard case .blocked = lane.next() else { Issue.record("not blocked"); return }
    _ = lane.endFirstRunning()
    expect(lane.recovered())
    expect(!lane.recovered(), "recovered twice")
    expect(lane.failure == nil)
    guard case .start(ticket(4), 4, isStaged: false) = lane.next() else { Issue.record("not started"); return }
  }

  @Test func cancelsOnlyWhatWaits() {
    var lane = Lane()
    expect(lane.reserveStart(ticket(77), byteCount: 1, isStaged: false))
    lane.started(ticket(1), byteCount: 1, 1)
    lane.enqueue(ticket(2), byteCount: 1, isStaged: false, 2)
    lane.enqueue(ticket(3), byteCount: 1, isStaged: false, 3)
    lane.enqueue(ticket(4), byteCount: 1, isStaged: true, 4)
    expect(lane.cancel(ticket(1)) == nil)
    expect(lane.cancel(ticket(3)) == 3)
    expect(lane.cancel(ticket(3)) == nil)
    expect(lane.cancelAll().map(\.job) == [2, 4])
    expect(!lane.isIdle)
    expect(lane.updateRunning(ticket(1)) { $0 += 10 } != nil)
    expect(lane.updateRunning(ticket(9)) { $0 += 10 } == nil)
    expect(lane.endFirstRunning()?.job == 11)
    expect(lane.isIdle)
  }

  @Test func keepsItsListInOrderThroughAnyMixOfOperations() {
    for seed in UInt64(1)...50 {
      var random = SplitMix64(seed: seed)
      var list = Fifo<Int>()
      var model: [Int] = []
      for number in 0..<500 {
        switch Int.random(in: 0..<5, using: &random) {
        case 0, 1:
          list.append(number)
          model.append(number)
        case 2: expect(list.removeFirst() == (model.isEmpty ? nil : model.removeFirst()))
        case 3:
          let wanted = model.randomElement(using: &random) ?? -1
          expect(list.remove(where: { $0 == wanted }) == (model.contains(wanted) ? wanted : nil))
          model.removeAll { $0 == wanted }
        default:
          let wanted = model.randomElement(using: &random) ?? -1
          _ = list.update(where: { $0 == wanted }) { $0 += 10_000 }
          if let index = model.firstIndex(of: wanted) { model[index] += 10_000 }
        }
        expect(list.elements == model && list.count == model.count && list.first == model.first, "seed \(seed)")
      }
    }
  }
}

extension LaneState where Waiting == Int, Running == Int {
  /// One staged job waits.
  fileprivate static var staged: Self {
    var lane = Self()
    lane.enqueue(TransferTicket(count: 1, direction: .store), byteCount: 1, isStaged: true, 1)
    return lane
  }
}
