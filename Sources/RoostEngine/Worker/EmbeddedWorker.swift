import RoostBlocks
import RoostDevice
import RoostPool
import RoostPrimitives
import RoostTransfer
import Synchronization

/// The data plane of a process that a serving engine runs: jobs come from the serving engine, under leases that the
/// control plane handed out (`Engine.handOut`); their ends are reported to the control plane over the pool's connection
/// and to the caller by `poll`.
///
/// A thread takes in what the control plane says, and reports for a caller who does not poll. Every lease is answered
/// once: a job under a lease that was taken back, or that has run here before, does not copy. Thread-safe.
public final class EmbeddedWorker: Sendable {
  /// The name by which the control plane knows this worker.
  public let attachment: AttachmentID
  /// The device.
  public let device: any Device
  private let link: PoolAttachment
  private let plane: LocalDataPlane
  private let pageByteCounts: [Int]
  private let jobs = Guarded(EmbeddedJobs())
  /// By group: the shard that this worker holds.
  private let shards = Locked<[Int: Int]>([:])
  /// The stream whose work every job waits for.
  private let computeStream = Locked<UInt?>(nil)
  private let isStopped: Shared
  private let isLost = Atomic(false)
  /// Set when nothing can be received any more though the control plane lives, until this worker has detached.
  private let isDeaf = Atomic(false)
  private let thread: Locked<HostThread?> = Locked(nil)

  private final class Shared: Sendable {
    let value = Atomic(false)
  }

  /// Attaches to a control plane that serves workers (`EngineConfiguration.servesWorkers`).
  ///
  /// - Throws: `notFound` if there is none, `timedOut` if it does not answer, what the device refuses.
  public static func attach(
    to address: PoolAddress, device: any Device, until deadline: Deadline
  ) throws(RoostError) -> EmbeddedWorker {
    let link = try PoolAttachment.attach(to: address, until: deadline)
    try link.send(WorkerMessage.hello.encoded(), until: deadline)
    let welcome = try awaitWelcome(link, until: deadline)
    let plane = try LocalDataPlane(attachment: link, device: device, templates: [])
    let worker = EmbeddedWorker(link, plane, welcome.pageByteCounts)
    worker.jobs.withLock { jobs in
      for lease in welcome.abandoned { _ = jobs.answer(lease) }
    }
    for lease in welcome.withdrawn { worker.withdraw(lease) }
    try worker.start()
    return worker
  }

  private struct Welcome {
    var pageByteCounts: [Int] = []
    var abandoned: [LeaseID] = []
    /// Leases that were taken back between the two messages.
    var withdrawn: [LeaseID] = []
  }

  private static func awaitWelcome(_ link: PoolAttachment, until deadline: Deadline) throws(RoostError) -> Welcome {
    var welcome = Welcome()
    while true {
      guard let bytes = try link.receive(until: deadline) else {
        throw RoostError(.timedOut, "the pool's owner takes no workers in; it has to serve them")
      }
      switch bytes.withUnsafeBytes({ WorkerMessage(decoding: $0) }) {
      case .welcome(let sizes, let abandoned)?:
        welcome.pageByteCounts = sizes
        welcome.abandoned = abandoned
        return welcome
      case .withdraw(let lease)?: welcome.withdrawn.append(lease)
      default: throw RoostError(.corrupt, "the pool's owner answered with something that makes no sense")
      }
    }
  }

  private init(_ link: PoolAttachment, _ plane: LocalDataPlane, _ pageByteCounts: [Int]) {
    self.link = link
    self.plane = plane
    self.pageByteCounts = pageByteCounts
    attachment = link.id
    device = plane.device
    isStopped = Shared()
  }

  private func start() throws(RoostError) {
    let isStopped = isStopped
    let started = try HostThread.start("roost-worker") { [weak self] in
      while !isStopped.value.load(ordering: .acquiring) {
        guard let self else { return }
        self.turn()
      }
    }
    thread.withLock { $0 = started }
  }

  deinit {
    // Not joined: the last reference may go in the thread itself.
    _ = finish(until: .after(seconds: Limits.abandonSeconds))
    thread.withLock { $0.take() }?.detach()
  }

  /// Accepts no more jobs, waits for copies that run, reports, and detaches. Further calls do nothing.
  ///
  /// - Returns: false if copies still ran at the deadline: the control plane then waits for the end of this process.
  @discardableResult public func close(until deadline: Deadline) -> Bool {
    let hasEnded = finish(until: deadline)
    thread.withLock { $0.take() }?.join()
    return hasEnded
  }

  private func finish(until deadline: Deadline) -> Bool {
    let hasEnded = plane.close(until: deadline)
    harvest()
    guard !isStopped.value.exchange(true, ordering: .acquiringAndReleasing) else { return hasEnded }
    // The attachment says that no copy runs any more. If one does, it stays, and nothing is said.
    if hasEnded { link.close() } else { _ = Unmanaged.passRetained(link) }
    return hasEnded
  }

  // MARK: The model

  /// The bytes of a page of each group, as the control plane said.
  ///
  /// - Throws: `invalidInput` for a group that it does not have.
  public func pageByteCount(group: Int) throws(RoostError) -> Int {
    guard pageByteCounts.indices.contains(group) else {
      throw RoostError(.invalidInput, "there is no group \(group); the engine has \(pageByteCounts.count)")
    }
    return pageByteCounts[group]
  }

  /// Says where the pages of a group lie in this worker's device memory, and which shard of them it holds.
  ///
  /// - Throws: `invalidInput` for a group, a shard or a slot size that the control plane does not have.
  public func register(_ template: PageTemplate, group: Int, shard: Int) throws(RoostError) {
    let byteCount = try pageByteCount(group: group)
    guard template.slotByteCount == byteCount else {
      throw RoostError(
        .invalidInput, "a page of group \(group) has \(byteCount) bytes, not \(template.slotByteCount)")
    }
    guard 0..<64 ~= shard else { throw RoostError(.invalidInput, "a page has shards 0 to 63, not \(shard)") }
    shards.withLock { $0[group] = shard }
    plane.register(template, group: group)
    try link.send(
      WorkerMessage.serves(group: group, shard: shard).encoded(), until: .after(seconds: Limits.reportSeconds))
  }

  /// Divides the pages of a registered group into ranges of the slot's bytes, cut at `bounds`: `submit(divided:)` then
  /// copies range after range. Stays until the group is registered anew.
  ///
  /// - Throws: `invalidInput` for a group that was not registered, or bounds that do not divide its pages.
  public func divide(group: Int, at bounds: [Int]) throws(RoostError) { try plane.divide(group: group, at: bounds) }

  /// From now on the copies of every job wait for what was given to a stream of the device before it was submitted: the
  /// one on which pages are computed, which a store reads and a load overwrites. `handle` is the vendor's; nil: none.
  ///
  /// - Throws: `unsupported` where the device has no streams of others, what the driver says of this one.
  public func follow(computeStream handle: UInt?) throws(RoostError) {
    if let handle { _ = try device.mark(ofForeignStream: handle) }
    computeStream.withLock { $0 = handle }
  }

  // MARK: Jobs

  /// Starts copying. Returns at once; the result comes from `poll` or `wait` under the caller's `number`.
  ///
  /// - Parameter divided: the ranges of the group's pages are copied one after another, the first ones of all blocks
  ///   first; `wait(for:range:until:)` waits for one. It is one job with one result all the same.
  /// - Throws: `invalidInput` for a number or a lease that is in use, an unknown group or a block out of range;
  ///   `outOfResources`, `stale` after `close`, `lost` if the control plane is gone. Nothing was started then, and the
  ///   control plane hears that this shard has failed.
  public func submit(
    _ number: UInt64, _ job: CopyJob, divided: Bool = false, _ blocks: UnsafeBufferPointer<BlockCopy>
  ) throws(RoostError) {
    do throws(RoostError) {
      try start(number, job, divided, blocks)
    } catch {
      if let lease = job.lease, error.code != .busy { refuse(lease, shard: shard(of: job.group)) }
      throw error
    }
  }

  private func start(
    _ number: UInt64, _ job: CopyJob, _ divided: Bool, _ blocks: UnsafeBufferPointer<BlockCopy>
  ) throws(RoostError) {
    guard !isLost.load(ordering: .acquiring) else { throw EmbeddedWorker.lost }
    let shard = shard(of: job.group)
    awaitSlots(of: blocks)
    let compute = computeStream.withLock { $0 }
    let fence = try compute.map { handle throws(RoostError) in try device.mark(ofForeignStream: handle) }
    try jobs.withLock { jobs throws(RoostError) in
      // `busy` marks what concerns a job that goes on: its lease is not reported as failed.
      guard !jobs.isInUse(number) else {
        throw RoostError(.busy, "the job number is in use; take its result first", context: [("job", "\(number)")])
      }
      if let lease = job.lease {
        guard jobs.parts(under: lease) == nil else {
          throw RoostError(.busy, "a job runs under this lease already", context: [("lease", "\(lease.rawValue)")])
        }
        guard !jobs.hasAnswered(lease) else { return jobs.refuse(number, blockCount: blocks.count) }
      }
      guard jobs.count < Limits.jobsInFlightMax else {
        throw RoostError(.outOfResources, "\(Limits.jobsInFlightMax) jobs are in flight; poll for their results")
      }
      // The lock is held, so that nobody harvests the job before it is known here.
      let rangeCount = divided ? plane.rangeCount(group: job.group) : 1
      let (parts, failure) = try startParts(job, rangeCount, blocks, after: fence)
      var entry = EmbeddedJobs.Running(
        number: number, lease: job.lease, shard: shard, blocks: Array(blocks), parts: parts)
      if let failure { entry.fail(failure) }
      jobs.begin(entry)
    }
  }

  /// Hands a job to the plane, range by range if it has several. If one cannot be started, those before it are cancelled,
  /// and the job is over when they are.
  private func startParts(
    _ job: CopyJob, _ rangeCount: Int, _ blocks: UnsafeBufferPointer<BlockCopy>, after fence: (any DeviceEvent)?
  ) throws(RoostError) -> (parts: [JobID], failure: RoostError?) {
    var parts: [JobID] = []
    for range in 0..<rangeCount {
      // The ranges are copied while the caller does something else between its waits.
      let part = CopyJob(
        job.verb, group: job.group, lease: nil, range: rangeCount > 1 ? range : nil,
        isAwaited: job.isAwaited && rangeCount == 1)
      do throws(RoostError) {
        parts.append(try plane.submit(part, blocks, after: fence))
      } catch {
        guard !parts.isEmpty else { throw error }
        for part in parts { plane.cancel(part) }
        return (parts, error)
      }
    }
    return (parts, nil)
  }

  /// A job may overtake the news that its slots have been cut: they come over the pool's connection, the job by another
  /// way. The thread takes them in at once; this waits for it, which happens once for each chunk of the pool.
  private func awaitSlots(of blocks: UnsafeBufferPointer<BlockCopy>) {
    let memory = link.memory
    var highest = 0
    for index in 0..<blocks.count { highest = max(highest, Int(blocks[index].slot.rawValue)) }
    guard highest >= memory.knownSlotCount else { return }
    let deadline = Deadline.after(seconds: Limits.slotNewsSeconds)
    for block in blocks where !memory.isKnown(block.slot) && Int(block.slot.rawValue) < memory.slotCountMax {
      while !memory.isKnown(block.slot), !deadline.hasPassed(), !isLost.load(ordering: .acquiring) {
        HostThread.sleep(seconds: Limits.slotNewsPollSeconds)
      }
    }
  }

  /// Takes the results of jobs that have ended, at most `countMax`, oldest first.
  public func poll(countMax: Int) -> [EmbeddedResult] {
    guard !jobs.withLock({ $0.isIdle }) else { return [] }
    harvest()
    return jobs.withLock { $0.take(countMax: countMax) }
  }

  /// Waits for one job and takes its result.
  ///
  /// - Throws: `timedOut` (the job goes on), `notFound` if there is no such job or its result was taken before.
  public func wait(for number: UInt64, until deadline: Deadline) throws(RoostError) -> EmbeddedResult {
    while true {
      let (result, parts) = jobs.withLock { jobs in
        (jobs.take(number), jobs.parts(numbered: number)?.filter { jobs.isRunning($0) })
      }
      if let result { return result }
      guard let parts else { throw EmbeddedWorker.unknown(number) }
      for part in parts { try awaitPart(part, until: deadline) }
    }
  }

  /// Waits until a range of a divided job has been copied, and those before it; the result is still to be taken, and
  /// says whether it went well.
  ///
  /// - Throws: `timedOut` (the job goes on), `notFound` if there is no such job or its result was taken before.
  public func wait(for number: UInt64, range: Int, until deadline: Deadline) throws(RoostError) {
    let (parts, isKnown) = jobs.withLock { jobs in
      let parts = jobs.parts(numbered: number) ?? []
      return (parts.prefix(max(0, range) + 1).filter { jobs.isRunning($0) }, jobs.isInUse(number))
    }
    guard isKnown else { throw EmbeddedWorker.unknown(number) }
    for part in parts { try awaitPart(part, until: deadline) }
  }

  private func awaitPart(_ part: JobID, until deadline: Deadline) throws(RoostError) {
    do throws(RoostError) {
      settle([try plane.wait(for: part, until: deadline)])
    } catch {
      // The thread may have taken the result first; then it is, or is about to be, among the ended ones.
      guard error.code == .notFound else { throw error }
      harvest()
    }
  }

  /// Cancels what of a job has not started; its result comes either way.
  public func cancel(_ number: UInt64) {
    for part in jobs.withLock({ $0.parts(numbered: number) }) ?? [] { plane.cancel(part) }
  }

  private func shard(of group: Int) -> Int { shards.withLock { $0[group] ?? 0 } }

  /// Takes in what has ended.
  private func harvest() {
    // One thread at a time, so that a result is never out of sight of both the plane and the ledger.
    let reports = jobs.withLock { jobs in plane.poll(countMax: .max).compactMap { jobs.end($0) } }
    send(reports)
  }

  private func settle(_ results: [JobResult]) {
    send(jobs.withLock { jobs in results.compactMap { jobs.end($0) } })
  }

  /// A job under this lease was never started: the control plane hears that this worker's shard has failed.
  public func refuse(_ lease: LeaseID?, group: Int) {
    if let lease { refuse(lease, shard: shard(of: group)) }
  }

  private func refuse(_ lease: LeaseID, shard: Int) {
    guard jobs.withLock({ $0.answer(lease) }) else { return }
    send([HandOutLedger.Report(lease: lease, shard: shard, status: .failed)])
  }

  private func send(_ reports: [HandOutLedger.Report]) {
    for report in reports {
      // A control plane that cannot be reached is gone, or about to find that this worker is.
      try? link.send(
        WorkerMessage.reported(report).encoded(), until: .after(seconds: Limits.reportSeconds))
    }
  }

  // MARK: The thread

  private func turn() {
    let isBusy = jobs.withLock { !$0.running.isEmpty }
    let patience = isBusy ? Limits.embeddedBusySeconds : Limits.embeddedIdleSeconds
    if isLost.load(ordering: .acquiring) {
      // Nobody to listen to; jobs that run still end.
      leaveIfDeaf()
      HostThread.sleep(seconds: patience)
    } else {
      listen(until: .after(seconds: patience))
    }
    if isBusy { harvest() }
  }

  private func listen(until deadline: Deadline) {
    do throws(RoostError) {
      guard let bytes = try link.receive(until: deadline) else { return }
      guard case .withdraw(let lease)? = bytes.withUnsafeBytes({ WorkerMessage(decoding: $0) }) else {
        Log.write(.warning, "the control plane sent \(bytes.count) bytes that make no sense; ignored")
        return
      }
      withdraw(lease)
    } catch {
      if error.code != .lost, error.code != .stale { isDeaf.store(true, ordering: .releasing) }
      isLost.store(true, ordering: .releasing)
      guard !isStopped.value.load(ordering: .acquiring) else { return }
      Log.write(.info, "worker \(attachment): \(error)")
    }
  }

  /// The control plane lives but this worker cannot hear it any more (no room for a new chunk, say): it detaches as soon
  /// as no copy runs, because the control plane would wait for answers that never come.
  private func leaveIfDeaf() {
    guard isDeaf.load(ordering: .acquiring), plane.close(until: .after(seconds: Limits.embeddedBusySeconds)) else {
      return
    }
    harvest()
    link.close()
    isDeaf.store(false, ordering: .releasing)
  }

  /// No copy runs under the lease any more when the control plane hears the answer.
  private func withdraw(_ lease: LeaseID) {
    let (parts, isNew) = jobs.withLock { jobs in
      let parts = jobs.parts(under: lease)
      return (parts, parts == nil && jobs.answer(lease))
    }
    for part in parts ?? [] { plane.cancel(part) }
    if isNew { send([HandOutLedger.Report(lease: lease, shard: 0, status: .cancelled)]) }
  }

  private static func unknown(_ number: UInt64) -> RoostError {
    RoostError(
      .notFound, "the job's result was taken before, or there is no such job", context: [("job", "\(number)")])
  }

  private static var lost: RoostError {
    RoostError(.lost, "the control plane is gone or out of reach; attach again")
  }
}
