import RoostBlocks
import RoostPool
import RoostPrimitives
import Synchronization

/// The data plane of a worker process, as the control plane sees it: jobs go out and results come back over the
/// attachment's connection. A job that is too long for one message travels in parts and has one result.
///
/// When the worker dies its jobs end as `failed(lost)`, after its fences have fallen.
public final class RemoteDataPlane: DataPlane {
  /// The worker.
  public let attachment: AttachmentID
  private let engine: Engine
  private let jobs: Locked<RemoteJobs>

  init(engine: Engine, attachment: AttachmentID) {
    self.engine = engine
    self.attachment = attachment
    // Attachments of one index differ in their epoch, so no number is ever used by two planes.
    jobs = Locked(RemoteJobs(firstID: UInt64(attachment.epoch) << 32 | 1))
  }

  /// See `DataPlane`.
  public func submit(_ job: CopyJob, _ blocks: UnsafeBufferPointer<BlockCopy>) throws(RoostError) -> JobID {
    if let lease = job.lease, !engine.copiesBegin(lease, attachment: Int(attachment.index)) {
      throw RoostError(.stale, "the lease is over", context: [("lease", "\(lease.rawValue)")])
    }
    let parts = stride(from: 0, to: max(1, blocks.count), by: Limits.jobPartBlockCountMax)
    let begun = jobs.withLock { $0.begin(lease: job.lease, blockCount: blocks.count, parts: Array(parts)) }
    guard let begun else {
      if let lease = job.lease { engine.copiesEnd(lease, attachment: Int(attachment.index)) }
      throw RoostError(.lost, "the worker is gone, or too many of its jobs are in flight")
    }
    for (part, start) in zip(begun.parts, parts) {
      let end = min(blocks.count, start + Limits.jobPartBlockCountMax)
      let message = WorkerMessage.job(id: part, verb: job.verb, group: job.group, blocks: Array(blocks[start..<end]))
      do throws(RoostError) {
        try send(message)
      } catch {
        // Parts that are on their way will report; the job as a whole has failed.
        complete(part, .init(failing: part, error))
      }
    }
    return begun.job
  }

  /// See `DataPlane`.
  public func poll(countMax: Int) -> [JobResult] {
    engine.pump()
    return jobs.withLock { $0.takeEnded(countMax: countMax) }
  }

  /// See `DataPlane`.
  public func wait(for job: JobID, until deadline: Deadline) throws(RoostError) -> JobResult {
    while true {
      engine.pump()
      switch jobs.withLock({ $0.take(job) }) {
      case .ended(let result): return result
      case .unknown: throw RoostError(.notFound, "the job's result was taken before, or there is no such job")
      case .running: break
      }
      guard !deadline.hasPassed() else {
        throw RoostError(.timedOut, "the worker has not finished the job", context: [("job", "\(job.rawValue)")])
      }
      // Short, because another thread may take the event that this one waits for.
      engine.pool?.waitForEvent(until: min(deadline, .after(seconds: Limits.eventWaitSeconds)))
    }
  }

  /// See `DataPlane`.
  public func cancel(_ job: JobID) {
    for part in jobs.withLock({ $0.parts(of: job) }) {
      // A worker that cannot be reached is about to be reported gone.
      try? send(.cancel(part))
    }
  }

  /// Fills device blocks of the worker with test patterns.
  public func fill(_ probes: [(block: UInt32, seed: UInt64)], until deadline: Deadline) throws(RoostError) {
    _ = try probe(probes, until: deadline) { .fill(id: $0, probes: $1) }
  }

  /// Counts the bytes of device blocks of the worker that differ from the test pattern.
  public func verify(_ probes: [(block: UInt32, seed: UInt64)], until deadline: Deadline) throws(RoostError) -> Int {
    try probe(probes, until: deadline) { .verify(id: $0, probes: $1) }
  }

  /// Asks the worker to finish and leave.
  public func stop() throws(RoostError) { try send(.stop) }

  private func send(_ message: WorkerMessage) throws(RoostError) {
    guard let pool = engine.pool else { throw RoostError(.unsupported, "an engine without a pool has no workers") }
    let bytes = message.encoded()
    let result: Result<Void, RoostError> = bytes.withUnsafeBytes { raw in
      do throws(RoostError) {
        return .success(try pool.send(raw, to: attachment))
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  private func probe(
    _ probes: [(block: UInt32, seed: UInt64)], until deadline: Deadline,
    _ make: (JobID, [WorkerMessage.PatternProbe]) -> WorkerMessage
  ) throws(RoostError) -> Int {
    var wrong = 0
    for start in stride(from: 0, to: probes.count, by: Limits.jobPartBlockCountMax) {
      let part = probes[start..<min(probes.count, start + Limits.jobPartBlockCountMax)]
      guard let begun = jobs.withLock({ $0.begin(lease: nil, blockCount: part.count, parts: [0]) }) else {
        throw RoostError(.lost, "the worker is gone")
      }
      let message = make(begun.parts[0], part.map { WorkerMessage.PatternProbe(block: $0.block, seed: $0.seed) })
      try send(message)
      let result = try wait(for: begun.job, until: deadline)
      if case .failed(let error) = result.outcome { throw error }
      wrong = RemoteJobs.sum(wrong, result.wrongByteCount)
    }
    return wrong
  }

  func receive(_ bytes: [UInt8]) {
    guard case .ended(let report)? = bytes.withUnsafeBytes({ WorkerMessage(decoding: $0) }) else {
      Log.write(.warning, "\(attachment) sent \(bytes.count) bytes that make no sense; ignored")
      return
    }
    complete(report.id, report)
  }

  private func complete(_ part: JobID, _ report: WorkerMessage.JobReport) {
    let lease = jobs.withLock { $0.end(part, report) }
    if let lease { engine.copiesEnd(lease, attachment: Int(attachment.index)) }
  }

  /// The worker is gone; its fences have fallen.
  func lose() { jobs.withLock { $0.lose() } }
}
