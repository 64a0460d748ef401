import RoostDevice
import RoostPool
import RoostPrimitives

/// The loop of a worker process: takes jobs from the control plane, has its data plane copy, reports. One thread.
///
/// A worker that an inference engine embeds gets its jobs by the engine's own way and drives `LocalDataPlane` itself;
/// this loop serves processes that do nothing else.
public final class Worker {
  /// What a worker can be asked to do for a test: fill device blocks with a pattern and compare them with it.
  public struct Probe {
    /// Fills one block with the pattern of a seed.
    public var fill: (_ block: UInt32, _ seed: UInt64) -> Void
    /// Counts the bytes of one block that differ from the pattern of a seed.
    public var verify: (_ block: UInt32, _ seed: UInt64) -> Int

    /// Wraps the two.
    public init(
      fill: @escaping (_ block: UInt32, _ seed: UInt64) -> Void,
      verify: @escaping (_ block: UInt32, _ seed: UInt64) -> Int
    ) {
      self.fill = fill
      self.verify = verify
    }
  }

  private let attachment: PoolAttachment
  private let plane: LocalDataPlane
  private let probe: Probe?
  /// The control plane's number of each job in flight.
  private var parts: [JobID: JobID] = [:]
  private var isStopping = false

  /// A worker that is attached and has its device ready.
  public init(attachment: PoolAttachment, plane: LocalDataPlane, probe: Probe? = nil) {
    self.attachment = attachment
    self.plane = plane
    self.probe = probe
  }

  /// Serves until the control plane says stop, then finishes what is running and detaches.
  ///
  /// - Throws: `lost` when the pool's owner is gone.
  public func run() throws(RoostError) {
    do throws(RoostError) {
      try serve()
    } catch {
      // The attachment says goodbye, and its memory goes, only when no copy runs. If one does not end, both stay: the
      // owner then waits for the end of this process.
      if !plane.close(until: .after(seconds: Limits.abandonSeconds)) { _ = Unmanaged.passRetained(attachment) }
      throw error
    }
    attachment.close()
  }

  private func serve() throws(RoostError) {
    while !isStopping || !parts.isEmpty {
      // With jobs running the loop turns without sleeping long: their ends are reported from here.
      let patience = parts.isEmpty ? Limits.workerIdleSeconds : Limits.workerBusySeconds
      if let bytes = try attachment.receive(until: .after(seconds: patience)) { try handle(bytes) }
      for result in plane.poll(countMax: .max) { try report(result) }
    }
  }

  private func handle(_ bytes: [UInt8]) throws(RoostError) {
    guard let message = bytes.withUnsafeBytes({ WorkerMessage(decoding: $0) }) else {
      Log.write(.warning, "the control plane sent \(bytes.count) bytes that make no sense; ignored")
      return
    }
    switch message {
    case .job(let id, let verb, let group, let blocks): try start(id, CopyJob(verb, group: group, lease: nil), blocks)
    case .cancel(let id):
      for (job, part) in parts where part == id { plane.cancel(job) }
    case .fill(let id, let probes):
      for item in probes { probe?.fill(item.block, item.seed) }
      try send(WorkerMessage.JobReport(id: id, status: probe == nil ? .failed : .done))
    case .verify(let id, let probes):
      let wrong = probes.reduce(0) { $0 + (probe?.verify($1.block, $1.seed) ?? 0) }
      try send(WorkerMessage.JobReport(id: id, status: probe == nil ? .failed : .done, wrongByteCount: wrong))
    case .stop: isStopping = true
    case .ended, .hello, .welcome, .serves, .withdraw, .reported: break
    }
  }

  private func start(_ id: JobID, _ job: CopyJob, _ blocks: [BlockCopy]) throws(RoostError) {
    let submitted: Result<JobID, RoostError> = blocks.withUnsafeBufferPointer { buffer in
      do throws(RoostError) {
        return .success(try plane.submit(job, buffer))
      } catch {
        return .failure(error)
      }
    }
    switch submitted {
    case .success(let local): parts[local] = id
    case .failure(let error): try send(WorkerMessage.JobReport(failing: id, error))
    }
  }

  private func report(_ result: JobResult) throws(RoostError) {
    guard let id = parts.removeValue(forKey: result.job) else { return }
    var report = WorkerMessage.JobReport(
      id: id, status: .done, byteCount: result.byteCount, nanoseconds: UInt64(result.seconds * 1e9),
      failedBlocks: result.failedBlocks.map(UInt32.init))
    switch result.outcome {
    case .done: break
    case .cancelled: report.status = .cancelled
    case .failed(let error):
      report.status = .failed
      report.message = error.description
    }
    try send(report)
  }

  private func send(_ report: WorkerMessage.JobReport) throws(RoostError) {
    let bytes = WorkerMessage.ended(report).encoded()
    let result: Result<Void, RoostError> = bytes.withUnsafeBytes { raw in
      do throws(RoostError) {
        return .success(try attachment.send(raw, until: .after(seconds: Limits.reportSeconds)))
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }
}
