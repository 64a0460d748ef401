import RoostBlocks
import RoostPrimitives

/// The jobs of one worker, in flight and ended. A pure state machine.
struct RemoteJobs {
  private struct Job {
    var result: JobResult
    /// Parts in flight, and the index of the first block of each.
    var parts: [JobID: Int]
    var blockCount: Int
  }

  /// What `take` finds.
  enum Found {
    case ended(JobResult)
    case running
    case unknown
  }

  private var running: [JobID: Job] = [:]
  private var jobOfPart: [JobID: JobID] = [:]
  private var ended: [JobResult] = []
  private var nextID: UInt64
  private var isLost = false

  /// Numbers jobs and parts from `firstID` on; planes of one engine must not share numbers.
  init(firstID: UInt64) { nextID = firstID }

  static func sum(_ left: Int, _ right: Int) -> Int {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? .max : sum
  }

  /// A job starts, in parts that begin at these blocks. Nil: the worker is gone, or too much is in flight.
  mutating func begin(lease: LeaseID?, blockCount: Int, parts starts: [Int]) -> (job: JobID, parts: [JobID])? {
    guard !isLost, running.count + ended.count < Limits.jobsInFlightMax else { return nil }
    let id = makeID()
    let parts = starts.map { _ in makeID() }
    let result = JobResult(job: id, lease: lease, outcome: .done, failedBlocks: [], byteCount: 0, seconds: 0)
    running[id] = Job(
      result: result, parts: Dictionary(uniqueKeysWithValues: zip(parts, starts)), blockCount: blockCount)
    for part in parts { jobOfPart[part] = id }
    return (id, parts)
  }

  /// A part has ended. Returns the job's lease if that was the job's last part; a part that is not in flight is
  /// ignored: whatever a worker says twice or invents changes nothing.
  mutating func end(_ part: JobID, _ report: WorkerMessage.JobReport) -> LeaseID? {
    guard let id = jobOfPart.removeValue(forKey: part), var job = running.removeValue(forKey: id),
      let start = job.parts.removeValue(forKey: part)
    else { return nil }
    // Saturating: a worker may say anything.
    job.result.byteCount = RemoteJobs.sum(job.result.byteCount, report.byteCount)
    job.result.wrongByteCount = RemoteJobs.sum(job.result.wrongByteCount, report.wrongByteCount)
    job.result.seconds += Double(report.nanoseconds) / 1e9
    for block in report.failedBlocks where start + Int(block) < job.blockCount {
      job.result.failedBlocks.append(start + Int(block))
    }
    switch (report.status, job.result.outcome) {
    case (.failed, _): job.result.outcome = .failed(RoostError(.lost, "the worker failed: \(report.message)"))
    case (.cancelled, .done): job.result.outcome = .cancelled
    default: break
    }
    guard job.parts.isEmpty else {
      running[id] = job
      return nil
    }
    finish(job)
    return job.result.lease
  }

  /// The worker is gone: everything in flight has failed.
  mutating func lose() {
    isLost = true
    for id in running.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
      guard var job = running.removeValue(forKey: id) else { continue }
      job.result.outcome = .failed(RoostError(.lost, "the worker is gone"))
      finish(job)
    }
    jobOfPart.removeAll()
  }

  /// The parts of a job that are in flight.
  func parts(of job: JobID) -> [JobID] { running[job].map { Array($0.parts.keys) } ?? [] }

  /// Takes the results of ended jobs, oldest first.
  mutating func takeEnded(countMax: Int) -> [JobResult] {
    let results = Array(ended.prefix(countMax))
    ended.removeFirst(results.count)
    return results
  }

  /// Takes one job's result.
  mutating func take(_ job: JobID) -> Found {
    if let index = ended.firstIndex(where: { $0.job == job }) { return .ended(ended.remove(at: index)) }
    return running[job] == nil ? .unknown : .running
  }

  private mutating func finish(_ job: Job) {
    var result = job.result
    if case .done = result.outcome {} else { result.failedBlocks = Array(0..<job.blockCount) }
    result.failedBlocks.sort()
    ended.append(result)
  }

  private mutating func makeID() -> JobID {
    defer { nextID += 1 }
    return JobID(rawValue: nextID)
  }
}
