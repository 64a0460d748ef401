import RoostPrimitives

/// Which jobs of one direction wait, run, or are being staged, and what may start next. A pure state machine: no clock,
/// no lock, no device; generic over what is kept of a job, so that tests need neither.
///
/// A job: 1. `reserveStart` lets it start at once, or `enqueue` makes it wait behind others. 2. `next` lets the oldest
/// start when the device holds few enough. 3. `started` puts it among the running, which end in their order
/// (`endFirstRunning`); a staged job ends with `endStaging` instead. 4. After a failure nothing starts until every
/// running job has ended; then `recovered` answers true once.
struct LaneState<Waiting, Running> {
  private struct WaitingEntry {
    var ticket: TransferTicket
    var byteCount: Int
    var isStaged: Bool
    var job: Waiting
  }

  private struct RunningEntry {
    var ticket: TransferTicket
    var byteCount: Int
    var job: Running
  }

  /// What the driver should do.
  enum Step {
    /// Nothing waits.
    case idle
    /// The oldest waiting job starts: it is no longer waiting. `endStaging` must follow if `isStaged`, otherwise
    /// `started` or `abandonStart`.
    case start(TransferTicket, Waiting, isStaged: Bool)
    /// The oldest running job must end first.
    case blocked
    /// A staged job is at work, or a job is being started.
    case busy
  }

  private var waiting = Fifo<WaitingEntry>()
  private var running = Fifo<RunningEntry>()
  private var runningBytes = 0
  /// The staged job at work.
  private(set) var stagedTicket: TransferTicket?
  /// The job whose pieces are being handed to the device. A stream that is reset meanwhile would skip a part of it.
  private(set) var startingTicket: TransferTicket?
  /// The failure that the running jobs share; nil in good health.
  private(set) var failure: RoostError?

  var isIdle: Bool { waiting.isEmpty && running.isEmpty && stagedTicket == nil && startingTicket == nil }

  /// Whether a new job of this size may start now; if so, `started` or `abandonStart` must follow.
  mutating func reserveStart(_ ticket: TransferTicket, byteCount: Int, isStaged: Bool) -> Bool {
    guard !isStaged, waiting.isEmpty, stagedTicket == nil, startingTicket == nil, admits(byteCount) else {
      return false
    }
    startingTicket = ticket
    return true
  }

  /// Ends a reserved start of which the device got nothing.
  mutating func abandonStart() { startingTicket = nil }

  /// Whether any job waits.
  var hasWaiting: Bool { !waiting.isEmpty }

  /// Makes a job wait.
  mutating func enqueue(_ ticket: TransferTicket, byteCount: Int, isStaged: Bool, _ job: Waiting) {
    waiting.append(WaitingEntry(ticket: ticket, byteCount: byteCount, isStaged: isStaged, job: job))
  }

  /// What can be done now. Staged jobs can only be done by who has staging memory.
  mutating func next(canStage: Bool = true) -> Step {
    guard stagedTicket == nil, startingTicket == nil else { return .busy }
    guard let first = waiting.first else { return .idle }
    guard canStage || !first.isStaged else { return .busy }
    guard admits(first.byteCount) else { return .blocked }
    _ = waiting.removeFirst()
    if first.isStaged { stagedTicket = first.ticket } else { startingTicket = first.ticket }
    return .start(first.ticket, first.job, isStaged: first.isStaged)
  }

  /// Adds a job whose copies the device now holds.
  mutating func started(_ ticket: TransferTicket, byteCount: Int, _ job: Running) {
    startingTicket = nil
    running.append(RunningEntry(ticket: ticket, byteCount: byteCount, job: job))
    runningBytes += byteCount
  }

  /// Ends the staged job at work.
  mutating func endStaging() { stagedTicket = nil }

  /// The oldest running job.
  var firstRunning: (ticket: TransferTicket, job: Running)? { running.first.map { ($0.ticket, $0.job) } }

  /// A running job, changed in place; nil if it does not run.
  mutating func updateRunning<Result>(_ ticket: TransferTicket, _ body: (inout Running) -> Result) -> Result? {
    running.update(where: { $0.ticket == ticket }) { body(&$0.job) }
  }

  /// Whether a job waits, is being started or is being staged.
  func isWaiting(_ ticket: TransferTicket) -> Bool {
    stagedTicket == ticket || startingTicket == ticket || waiting.elements.contains { $0.ticket == ticket }
  }

  /// Ends the oldest running job.
  mutating func endFirstRunning() -> (ticket: TransferTicket, job: Running)? {
    guard let ended = running.removeFirst() else { return nil }
    runningBytes -= ended.byteCount
    return (ended.ticket, ended.job)
  }

  /// Notes a failure of the stream: the first one counts, and nothing starts any more.
  mutating func fail(_ error: RoostError) { failure = failure ?? error }

  /// Forgets the failure once nothing runs or starts; true exactly then, and the caller resets the stream.
  mutating func recovered() -> Bool {
    guard failure != nil, running.isEmpty, stagedTicket == nil, startingTicket == nil else { return false }
    failure = nil
    return true
  }

  /// Takes a waiting job out; nil if it does not wait (any more).
  mutating func cancel(_ ticket: TransferTicket) -> Waiting? {
    waiting.remove(where: { $0.ticket == ticket })?.job
  }

  /// Takes all waiting jobs out, oldest first.
  mutating func cancelAll() -> [(ticket: TransferTicket, job: Waiting)] {
    var cancelled: [(TransferTicket, Waiting)] = []
    while let entry = waiting.removeFirst() { cancelled.append((entry.ticket, entry.job)) }
    return cancelled
  }

  private func admits(_ byteCount: Int) -> Bool {
    guard failure == nil else { return false }
    return running.isEmpty
      || running.count < Limits.runningJobCountMax && runningBytes + byteCount <= Limits.runningBytesMax
  }
}
