import RoostBlocks
import RoostPrimitives

/// The jobs of an embedded worker: in flight, ended, and the leases that it has answered for. A pure state machine.
struct EmbeddedJobs {
  struct Running {
    /// The caller's number.
    var number: UInt64
    var lease: LeaseID?
    var shard: Int
    /// Kept for the report: which slots failed.
    var blocks: [BlockCopy]
    /// The plane's jobs, one for each range of the pages that is copied by itself, in the order of their start.
    var parts: [JobID]
    /// How many of them run, and whether the first one does.
    private var openCount: Int
    fileprivate var isFirstOpen = true
    /// What those that have ended did, and why others were not even started.
    private var result: JobResult?

    init(number: UInt64, lease: LeaseID?, shard: Int, blocks: [BlockCopy], parts: [JobID]) {
      self.number = number
      self.lease = lease
      self.shard = shard
      self.blocks = blocks
      self.parts = parts
      openCount = parts.count
    }

    /// Not everything could be started: the job has failed, and ends when what was started has.
    mutating func fail(_ error: RoostError) {
      result = JobResult(
        job: parts[0], lease: lease, outcome: .failed(error), failedBlocks: Array(blocks.indices), byteCount: 0,
        seconds: 0)
    }

    /// One part has ended. The job's result if that was the last.
    fileprivate mutating func end(_ part: JobResult) -> JobResult? {
      openCount -= 1
      if part.job == parts[0] { isFirstOpen = false }
      guard var whole = result else {
        result = part
        return openCount == 0 ? part : nil
      }
      whole.byteCount += part.byteCount
      whole.seconds += part.seconds
      if part.failedBlocks != whole.failedBlocks {
        whole.failedBlocks = Set(whole.failedBlocks).union(part.failedBlocks).sorted()
      }
      switch (part.outcome, whole.outcome) {
      case (_, .failed), (.done, _): break
      default: whole.outcome = part.outcome
      }
      result = whole
      return openCount == 0 ? whole : nil
    }
  }

  /// By the first of a job's parts.
  private(set) var running: [JobID: Running] = [:]
  /// The first part of every other one.
  private var firsts: [JobID: JobID] = [:]
  private var ended: [EmbeddedResult] = []
  private var numbers: Set<UInt64> = []
  /// Leases that this worker has reported: it copies for none of them again.
  private var answered: Set<LeaseID> = []
  /// The same in a ring, `oldest` first once it is full.
  private var answeredRing: [LeaseID] = []
  private var oldest = 0

  /// Whether anything is in flight or waits to be taken.
  var isIdle: Bool { running.isEmpty && ended.isEmpty }
  /// Jobs in flight and results that wait to be taken.
  var count: Int { running.count + ended.count }
  /// Whether the caller's number is in use.
  func isInUse(_ number: UInt64) -> Bool { numbers.contains(number) }
  /// Whether this worker has said that it does not copy for the lease any more.
  func hasAnswered(_ lease: LeaseID) -> Bool { answered.contains(lease) }
  /// The parts of the job that runs under a lease.
  func parts(under lease: LeaseID) -> [JobID]? { running.values.first { $0.lease == lease }?.parts }
  /// The parts of the job with the caller's number.
  func parts(numbered number: UInt64) -> [JobID]? { running.values.first { $0.number == number }?.parts }
  /// Whether a part has not ended.
  func isRunning(_ part: JobID) -> Bool { running[part]?.isFirstOpen ?? (firsts[part] != nil) }

  mutating func begin(_ entry: Running) {
    running[entry.parts[0]] = entry
    for part in entry.parts.dropFirst() { firsts[part] = entry.parts[0] }
    numbers.insert(entry.number)
  }

  /// This worker is about to report the lease. False: it has before.
  mutating func answer(_ lease: LeaseID) -> Bool {
    guard answered.insert(lease).inserted else { return false }
    guard answeredRing.count == Limits.reportedLeasesMax else {
      answeredRing.append(lease)
      return true
    }
    answered.remove(answeredRing[oldest])
    answeredRing[oldest] = lease
    oldest = (oldest + 1) % answeredRing.count
    return true
  }

  /// A job that was never started, because its lease had been taken back.
  mutating func refuse(_ number: UInt64, blockCount: Int) {
    numbers.insert(number)
    ended.append(
      EmbeddedResult(
        number: number, outcome: .cancelled, failedBlocks: Array(0..<blockCount), byteCount: 0, seconds: 0))
  }

  /// A job, or a part of one, has ended. Returns what is to be reported, if it was the last and ran under a lease.
  mutating func end(_ part: JobResult) -> HandOutLedger.Report? {
    let first = firsts.removeValue(forKey: part.job) ?? part.job
    guard var entry = running.removeValue(forKey: first) else { return nil }
    guard let result = entry.end(part) else {
      running[first] = entry
      return nil
    }
    ended.append(
      EmbeddedResult(
        number: entry.number, outcome: result.outcome, failedBlocks: result.failedBlocks, byteCount: result.byteCount,
        seconds: result.seconds))
    guard let lease = entry.lease, answer(lease) else { return nil }
    var report = HandOutLedger.Report(
      lease: lease, shard: entry.shard, status: .done, byteCount: result.byteCount,
      nanoseconds: UInt64(max(0, result.seconds) * 1e9))
    switch result.outcome {
    case .done:
      guard result.failedBlocks.count <= Limits.reportedPagesMax else {
        report.status = .failed
        break
      }
      report.failedPages = result.failedBlocks.map { index in
        let block = entry.blocks[index]
        return HandOutLedger.FailedPage(
          position: UInt32(index), slot: block.slot, generation: block.generation)
      }
    case .cancelled: report.status = .cancelled
    case .failed: report.status = .failed
    }
    return report
  }

  mutating func take(countMax: Int) -> [EmbeddedResult] {
    let taken = Array(ended.prefix(countMax))
    ended.removeFirst(taken.count)
    for result in taken { numbers.remove(result.number) }
    return taken
  }

  mutating func take(_ number: UInt64) -> EmbeddedResult? {
    guard let index = ended.firstIndex(where: { $0.number == number }) else { return nil }
    numbers.remove(number)
    return ended.remove(at: index)
  }
}

/// How a job of an embedded worker ended.
public struct EmbeddedResult: Sendable {
  /// The caller's number of the job.
  public var number: UInt64
  /// Whether the copies that were made are complete.
  public var outcome: JobResult.Outcome
  /// Indices into the job's blocks that were not copied, ascending.
  public var failedBlocks: [Int]
  /// Bytes copied.
  public var byteCount: Int
  /// Seconds from the start of the first copy to the end of the last.
  public var seconds: Double
}
