import RoostBlocks
import RoostDevice
import RoostPool
import RoostPrimitives
import RoostTransfer
import Synchronization

/// A data plane in this process: copies between its device and the pool's slots as this process has them mapped.
///
/// Made with an engine it fences by itself; made with an attachment it works for a control plane elsewhere, which
/// fences (`Worker` connects the two). Before a block is copied the slot's row is read: a slot that was given to
/// another block meanwhile is left alone and reported in `failedBlocks`.
public final class LocalDataPlane: DataPlane {
  /// The device.
  public let device: any Device
  private let view: any SlotView
  private let engine: Engine?
  private let templates: Locked<[PageTemplate?]>
  /// By group: the ranges of its pages, where they are divided.
  private let ranges = Locked<[Int: [PageTemplate]]>([:])
  private let queue: TransferQueue
  private let registrar: ChunkRegistrar?
  private let jobs = Locked(Jobs())
  /// Results that a caller of `poll` had no room for.
  private let ended = Locked<[JobResult]>([])

  /// Jobs in flight, in the order of their submission: an array, because the one that ends is mostly among the oldest.
  private struct Jobs {
    var running: [Running] = []

    mutating func take(_ ticket: TransferTicket) -> Running? {
      running.firstIndex { $0.ticket == ticket }.map { running.remove(at: $0) }
    }
  }

  private struct Running {
    var ticket: TransferTicket
    var lease: LeaseID?
    var pages: BlockPages
  }

  /// Waits for copies that run, so that no memory goes and no fence falls under them.
  deinit {
    guard !close(until: .after(seconds: Limits.abandonSeconds)) else { return }
    Log.write(.error, "a data plane ended while its device copies; its memory is kept until the process ends")
    _ = Unmanaged.passRetained(view.memory)
  }

  /// Accepts no more jobs, cancels those that wait, and waits for those that run. Their results can still be taken;
  /// fences fall for those whose copies have ended.
  ///
  /// - Returns: whether no copy runs any more.
  @discardableResult public func close(until deadline: Deadline) -> Bool {
    let hasEnded: Bool
    do throws(RoostError) {
      try queue.close(until: deadline)
      hasEnded = true
    } catch {
      hasEnded = false
    }
    ended.withLock { $0.append(contentsOf: harvest()) }
    // While a copy runs, the device may still need what is registered.
    if hasEnded { registrar?.stop() }
    return hasEnded
  }

  /// A data plane in the engine's own process.
  ///
  /// - Parameters:
  ///   - templates: how a page of each group is copied, in the order of the groups.
  /// - Throws: `unsupported` for an engine without a pool, or what the device refuses.
  public convenience init(engine: Engine, device: any Device, templates: [PageTemplate]) throws(RoostError) {
    guard let pool = engine.pool else {
      throw RoostError(.unsupported, "an engine without a pool has nothing to copy from or to")
    }
    try self.init(view: pool, engine: engine, device: device, templates: templates)
  }

  /// A data plane in a process that attached the pool.
  public convenience init(
    attachment: PoolAttachment, device: any Device, templates: [PageTemplate]
  ) throws(RoostError) {
    try self.init(view: attachment, engine: nil, device: device, templates: templates)
  }

  /// Says, or says anew, how a page of a group is copied; jobs that were submitted before are not concerned.
  public func register(_ template: PageTemplate, group: Int) {
    templates.withLock { templates in
      while templates.count <= group { templates.append(nil) }
      templates[group] = template
    }
    ranges.withLock { $0[group] = nil }
  }

  /// Divides the pages of a group at `bounds`, bytes of the slot, into ranges that jobs of their own can copy
  /// (`CopyJob.range`), until the group is registered anew.
  ///
  /// - Throws: `invalidInput` for a group that was not registered, or bounds that do not divide its pages.
  public func divide(group: Int, at bounds: [Int]) throws(RoostError) {
    let divided = try template(of: CopyJob(.load, group: group, lease: nil)).divided(at: bounds)
    ranges.withLock { $0[group] = divided }
  }

  /// How many ranges the pages of a group have.
  func rangeCount(group: Int) -> Int { ranges.withLock { $0[group]?.count } ?? 1 }

  private func template(of job: CopyJob) throws(RoostError) -> PageTemplate {
    let known: PageTemplate?
    if let range = job.range {
      known = ranges.withLock { ranges in
        ranges[job.group].flatMap { $0.indices.contains(range) ? $0[range] : nil }
      }
    } else {
      known = templates.withLock { $0.indices.contains(job.group) ? $0[job.group] : nil }
    }
    guard let known else {
      throw RoostError(.invalidInput, "where the pages of group \(job.group) lie on the device was never said")
    }
    return known
  }

  private init(
    view: any SlotView, engine: Engine?, device: any Device, templates: [PageTemplate]
  ) throws(RoostError) {
    self.view = view
    self.engine = engine
    self.device = device
    self.templates = Locked(templates)
    queue = try TransferQueue(device: device)
    registrar = try ChunkRegistrar(view.memory, with: device)
  }

  /// See `DataPlane`; nothing is waited for.
  public func submit(_ job: CopyJob, _ blocks: UnsafeBufferPointer<BlockCopy>) throws(RoostError) -> JobID {
    try submit(job, blocks, after: nil)
  }

  /// The same, with the event that the copies must wait for: for a store, of the computation that wrote the pages; for
  /// a load, of the last reader of the device pages that it overwrites.
  public func submit(
    _ job: CopyJob, _ blocks: UnsafeBufferPointer<BlockCopy>, after fence: (any DeviceEvent)?
  ) throws(RoostError) -> JobID {
    let template = try template(of: job)
    if let engine, let lease = job.lease, !engine.copiesBegin(lease, attachment: Limits.localAttachment) {
      throw RoostError(.stale, "the lease is over", context: [("lease", "\(lease.rawValue)")])
    }
    do throws(RoostError) {
      return try start(job, template, blocks, fence)
    } catch {
      if let engine, let lease = job.lease { engine.copiesEnd(lease, attachment: Limits.localAttachment) }
      throw error
    }
  }

  private func start(
    _ job: CopyJob, _ template: PageTemplate, _ blocks: UnsafeBufferPointer<BlockCopy>, _ fence: (any DeviceEvent)?
  ) throws(RoostError) -> JobID {
    for index in 0..<blocks.count where Int(blocks[index].block) >= template.blockCount {
      throw RoostError(
        .invalidInput, "page \(index) names block \(blocks[index].block) of \(template.blockCount)")
    }
    let direction: TransferDirection = job.verb == .store ? .store : .load
    let transfer = TransferJob(direction, template: template, fence: fence, isAwaited: job.isAwaited)
    let pages = BlockPages(blocks, view.reader, job.verb, slotByteCount: template.slotByteCount)
    let ticket = try jobs.withLock { jobs throws(RoostError) in
      // Under the lock, so that nobody polls the ticket before it is known here.
      let ticket = try queue.submit(transfer, pages.source)
      jobs.running.append(Running(ticket: ticket, lease: job.lease, pages: pages))
      return ticket
    }
    return JobID(rawValue: ticket.rawValue)
  }

  /// See `DataPlane`.
  public func poll(countMax: Int) -> [JobResult] {
    ended.withLock { ended in
      ended.append(contentsOf: harvest())
      let taken = Array(ended.prefix(countMax))
      ended.removeFirst(taken.count)
      return taken
    }
  }

  /// The results of all jobs that have ended.
  private func harvest() -> [JobResult] {
    var results: [TransferResult] = []
    queue.poll(into: &results)
    return results.compactMap { finish($0) }
  }

  /// See `DataPlane`.
  public func wait(for job: JobID, until deadline: Deadline) throws(RoostError) -> JobResult {
    let ticket = TransferTicket(rawValue: job.rawValue)
    if let result = takeEnded(job) { return result }
    let result: TransferResult
    do throws(RoostError) {
      result = try queue.wait(for: ticket, until: deadline)
    } catch {
      // Another thread's poll may have moved it meanwhile.
      if error.code == .notFound, let result = takeEnded(job) { return result }
      throw error
    }
    guard let finished = finish(result) else {
      throw RoostError(.notFound, "the job's result was taken before, or there is no such job")
    }
    return finished
  }

  /// See `DataPlane`.
  public func cancel(_ job: JobID) { queue.cancel(TransferTicket(rawValue: job.rawValue)) }

  /// An event that completes with the job's copies, for a device stream that must wait for them: compute that reads
  /// what a load brings, or overwrites what a store reads. Nil while the job waits to be started or is staged, and
  /// after its end.
  public func completionEvent(of job: JobID) -> (any DeviceEvent)? {
    queue.completionEvent(of: TransferTicket(rawValue: job.rawValue))
  }

  private func takeEnded(_ job: JobID) -> JobResult? {
    ended.withLock { ended in
      ended.firstIndex { $0.job == job }.map { ended.remove(at: $0) }
    }
  }

  /// Turns the queue's result into the job's and lets the fence fall.
  private func finish(_ result: TransferResult) -> JobResult? {
    guard let running = jobs.withLock({ $0.take(result.ticket) }) else { return nil }
    if let engine, let lease = running.lease { engine.copiesEnd(lease, attachment: Limits.localAttachment) }
    var job = JobResult(
      job: JobID(rawValue: result.ticket.rawValue), lease: running.lease, outcome: .done,
      failedBlocks: running.pages.failedBlocks, byteCount: result.byteCount, seconds: result.seconds)
    switch result.outcome {
    case .done: break
    case .cancelled: job.outcome = .cancelled
    case .failed(let error): job.outcome = .failed(error)
    }
    if !result.isDone { job.failedBlocks = Array(0..<running.pages.count) }
    return job
  }
}
