import RoostDevice
import RoostPrimitives
import Synchronization

/// One direction of a queue: a stream, the jobs on it, and the thread that starts those that had to wait.
///
/// A small job is started by whoever submits it. A large one, and one that finds others before it, is started by the
/// lane's thread or by whoever waits for it: writing its pieces takes longer than handing it over.
///
/// Locks, in the order in which they are taken: `starter` (held while pieces are handed to the stream, so that jobs
/// start in order), `state` (short), then the board's own.
final class TransferLane: Sendable {
  /// A job that waits.
  struct Waiting: Sendable {
    var job: TransferJob
    var source: PageSource
  }

  /// A job whose copies the device holds.
  struct Running: Sendable {
    var pageCount: Int
    var byteCount: Int
    var start: (any DeviceEvent)?
    /// Completes with the copies; nil if it could not be recorded.
    var end: (any DeviceEvent)?
    var submittedAt: UInt64
    /// Why not everything could be handed to the device.
    var refusal: RoostError?
    /// The caller holds the end event: it is not used again.
    var isExposed = false
  }

  /// Where a job is.
  enum Whereabouts {
    case waiting
    case running(any DeviceEvent)
    case gone
  }

  private struct State {
    var jobs = LaneState<Waiting, Running>()
    var events = EventPool()
    var isStopped = false
    /// The driver was not told of a job, because somebody is to wait for it.
    var isQuiet = false
  }

  let direction: TransferDirection
  let device: any Device
  let stream: any DeviceStream
  private let board: ResultBoard
  private let measuresTime: Bool
  private let state = Locked(State())
  private let starter = Locked(())
  /// Touched only by the holder of `starter`.
  private let batch = PieceBatch()
  private let hasDriver = Locked(false)
  private let bell = Doorbell()

  init(_ direction: TransferDirection, on device: any Device, board: ResultBoard) throws(RoostError) {
    self.direction = direction
    self.device = device
    self.board = board
    stream = try device.makeStream(priority: direction == .load ? .high : .normal)
    measuresTime = device.description.capabilities.contains(.eventTiming)
  }

  /// Starts the job, or makes it wait for the driver.
  func submit(
    _ job: TransferJob, _ source: PageSource, as ticket: TransferTicket
  ) throws(RoostError) {
    let byteCount = source.countMax * job.template.pageByteCount
    let isStaged = job.template.isStaged
    if !isStaged, source.countMax * job.template.runs.pieces.count <= Limits.immediatePieceCountMax {
      // Whoever has the lock starts a job that came before this one, and may take long.
      let isStarted = try starter.withLockIfFree { _ throws(RoostError) in
        guard state.withLock({ $0.jobs.reserveStart(ticket, byteCount: byteCount, isStaged: isStaged) }) else {
          return false
        }
        do throws(RoostError) {
          try start(job, source, as: ticket)
        } catch {
          state.withLock { $0.jobs.abandonStart() }
          throw error
        }
        return true
      }
      if isStarted == true { return }
    }
    try startDriver()
    state.withLock {
      $0.jobs.enqueue(ticket, byteCount: byteCount, isStaged: isStaged, Waiting(job: job, source: source))
      $0.isQuiet = job.isAwaited
    }
    if !job.isAwaited { bell.ring() }
  }

  /// Tells the driver of a job that it was not told of: whoever was to start it has not come, or cannot.
  func rouse() {
    let wasQuiet = state.withLock { state in
      defer { state.isQuiet = false }
      return state.isQuiet
    }
    if wasQuiet { bell.ring() }
  }

  /// Starts the oldest waiting job on the calling thread, so that who waits for it does not wait for the driver's
  /// awakening. False if there is none, the device holds enough, the job is staged, or somebody else is at it.
  func startWaiting() -> Bool {
    let step = starter.withLockIfFree { _ in startNext(canStage: false) }
    if case .start? = step { return true }
    return false
  }

  /// Starts waiting jobs on the calling thread up to this one, as far as the device takes them.
  func startWaiting(upTo ticket: TransferTicket) {
    while case .waiting = whereabouts(of: ticket) {
      guard case .start? = starter.withLock({ _ in startNext(canStage: false) }) else { return }
    }
  }

  /// Moves jobs whose copies have ended to the board.
  func harvest() {
    state.withLock { state in
      while let first = state.jobs.firstRunning, hasEnded(first.job) {
        if case .failed(let error) = stream.query() { state.jobs.fail(error) }
        guard let ended = state.jobs.endFirstRunning() else { break }
        let outcome = (state.jobs.failure ?? ended.job.refusal).map { TransferResult.Outcome.failed($0) } ?? .done
        board.post(result(of: ended.ticket, ended.job, outcome))
        if let start = ended.job.start { state.events.give(start) }
        if let end = ended.job.end, !ended.job.isExposed { state.events.give(end) }
      }
      if state.jobs.recovered() {
        stream.reset()
        bell.ring()
      }
    }
  }

  func whereabouts(of ticket: TransferTicket) -> Whereabouts {
    state.withLock { state in
      if let end = state.jobs.updateRunning(ticket, { $0.end }) {
        // Without an end event there is only the stream to ask, now and then.
        return end.map { .running($0) } ?? .waiting
      }
      return state.jobs.isWaiting(ticket) ? .waiting : .gone
    }
  }

  func exposeEvent(of ticket: TransferTicket) -> (any DeviceEvent)? {
    state.withLock { state in
      state.jobs.updateRunning(ticket) { job in
        job.isExposed = job.end != nil
        return job.end
      } ?? nil
    }
  }

  func cancel(_ ticket: TransferTicket) -> Bool {
    state.withLock { state in
      guard let waiting = state.jobs.cancel(ticket) else { return false }
      board.post(cancelled(ticket, waiting))
      return true
    }
  }

  func cancelAll() {
    state.withLock { state in
      for (ticket, waiting) in state.jobs.cancelAll() { board.post(cancelled(ticket, waiting)) }
    }
  }

  /// Waits until nothing waits or runs; false if the deadline passed first.
  func drain(until deadline: Deadline) -> Bool {
    while true {
      let rings = board.bell.ringCount
      harvest()
      let (isIdle, end) = state.withLock { ($0.jobs.isIdle, $0.jobs.firstRunning?.job.end) }
      if isIdle { return true }
      if deadline.hasPassed() { return false }
      if let end {
        try? end.wait(until: deadline)
      } else {
        let slice = Deadline.after(seconds: Limits.driverPatienceSeconds)
        board.bell.wait(past: rings, spinNanoseconds: 0, until: min(slice, deadline))
      }
    }
  }

  /// Lets the driver end after what it is doing.
  func stop() {
    state.withLock { $0.isStopped = true }
    bell.ring()
  }

  // MARK: - Starting

  /// Hands a job's copies to the stream. The caller holds `starter`, has reserved the start, and abandons it if this
  /// throws.
  private func start(
    _ job: TransferJob, _ source: PageSource, as ticket: TransferTicket
  ) throws(RoostError) {
    let pageCount = try batch.list(source, for: job.template)
    var running = Running(
      pageCount: pageCount, byteCount: pageCount * job.template.pageByteCount,
      submittedAt: MonotonicClock().nanoseconds)
    let (start, end) = try takeEvents()
    running.start = start
    running.end = end
    do throws(RoostError) {
      if let fence = job.fence { try stream.wait(for: fence) }
      if let start { try stream.record(start) }
      try batch.copyListed(job.template.runs, direction, on: stream)
    } catch {
      running.refusal = error
    }
    do throws(RoostError) {
      try stream.record(end)
    } catch {
      // Copies may be under way, so the job must not end before the stream is seen idle.
      running.refusal = running.refusal ?? error
      running.end = nil
    }
    state.withLock { $0.jobs.started(ticket, byteCount: running.byteCount, running) }
    // Who waits for the job can wait for its event now.
    board.bell.ring()
  }

  private func takeEvents() throws(RoostError) -> (start: (any DeviceEvent)?, end: any DeviceEvent) {
    try state.withLock { state throws(RoostError) in
      let start = measuresTime ? try state.events.take(from: device) : nil
      return (start, try state.events.take(from: device))
    }
  }

  private func hasEnded(_ job: Running) -> Bool {
    if let end = job.end { return end.isComplete }
    if case .busy = stream.query() { return false }
    return true
  }

  private func result(
    of ticket: TransferTicket, _ job: Running, _ outcome: TransferResult.Outcome
  ) -> TransferResult {
    var result = TransferResult(
      ticket: ticket, outcome: outcome, pageCount: job.pageCount, byteCount: 0,
      seconds: Double(MonotonicClock().nanoseconds &- job.submittedAt) / 1e9)
    guard result.isDone else { return result }
    result.byteCount = job.byteCount
    if let start = job.start, let seconds = try? job.end?.secondsSince(start) { result.seconds = seconds }
    return result
  }

  private func cancelled(_ ticket: TransferTicket, _ waiting: Waiting) -> TransferResult {
    TransferResult(
      ticket: ticket, outcome: .cancelled, pageCount: waiting.source.countMax, byteCount: 0, seconds: 0)
  }

  // MARK: - The driver

  private func startDriver() throws(RoostError) {
    try hasDriver.withLock { hasDriver throws(RoostError) in
      guard !hasDriver else { return }
      try HostThread.start("roost-\(direction)") { self.drive() }.detach()
      hasDriver = true
    }
  }

  /// Starts waiting jobs, oldest first, until the lane is stopped.
  private func drive() {
    var staging: StagedCopy?
    while true {
      let rings = bell.ringCount
      let step = starter.withLock { _ in startNext(canStage: true) }
      switch step {
      case nil: return
      case .start(let ticket, let waiting, isStaged: true)?: runStaged(ticket, waiting, &staging)
      case .start?: break
      case .idle?, .busy?: bell.wait(past: rings, spinNanoseconds: 0, until: .never)
      case .blocked?: waitForFirstRunning()
      }
    }
  }

  /// Starts the oldest waiting job if it can be and is not staged; nil if the lane is stopped. The caller holds
  /// `starter`.
  private func startNext(canStage: Bool) -> LaneState<Waiting, Running>.Step? {
    let step = state.withLock { state -> LaneState<Waiting, Running>.Step? in
      guard !state.isStopped else { return nil }
      let step = state.jobs.next(canStage: canStage)
      if case .start = step, !state.jobs.hasWaiting { state.isQuiet = false }
      return step
    }
    guard case .start(let ticket, let waiting, isStaged: false)? = step else { return step }
    do throws(RoostError) {
      try start(waiting.job, waiting.source, as: ticket)
    } catch {
      state.withLock { state in
        state.jobs.abandonStart()
        board.post(failed(error, ticket, waiting))
      }
    }
    return step
  }

  private func waitForFirstRunning() {
    let patience = Deadline.after(seconds: Limits.driverPatienceSeconds)
    if let end = state.withLock({ $0.jobs.firstRunning?.job.end }) {
      try? end.wait(until: patience)
    } else {
      bell.wait(past: bell.ringCount, spinNanoseconds: 0, until: min(patience, .after(seconds: 0.001)))
    }
    harvest()
  }

  private func runStaged(_ ticket: TransferTicket, _ waiting: Waiting, _ staging: inout StagedCopy?) {
    let clock = MonotonicClock()
    let start = clock.nanoseconds
    do throws(RoostError) {
      let copy: StagedCopy
      if let staging {
        copy = staging
      } else {
        copy = try StagedCopy(direction, on: device, stream: stream)
        staging = copy
      }
      var pages: [PageCopy] = []
      waiting.source.append(to: &pages)
      try pages.withUnsafeBufferPointer { pages throws(RoostError) in try waiting.job.template.check(pages) }
      try copy.run(waiting.job, pages) { state.withLock { $0.isStopped } }
      let byteCount = pages.count * waiting.job.template.pageByteCount
      let result = TransferResult(
        ticket: ticket, outcome: .done, pageCount: pages.count, byteCount: byteCount,
        seconds: Double(clock.nanoseconds &- start) / 1e9)
      state.withLock { state in
        state.jobs.endStaging()
        board.post(result)
      }
    } catch {
      state.withLock { state in
        if case .failed(let first) = stream.query() { state.jobs.fail(first) }
        state.jobs.endStaging()
        board.post(failed(error, ticket, waiting))
      }
    }
    harvest()
  }

  private func failed(_ error: RoostError, _ ticket: TransferTicket, _ waiting: Waiting) -> TransferResult {
    TransferResult(
      ticket: ticket, outcome: .failed(error), pageCount: waiting.source.countMax, byteCount: 0, seconds: 0)
  }
}
