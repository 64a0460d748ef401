import CRoostPlatform
import RoostDevice
import RoostPrimitives
import Synchronization

/// The queue behind a stream and the thread that empties it.
///
/// Life cycle: 1. Made idle, without a thread. 2. The first operation starts the thread, which holds a reference.
/// 3. The stream's end closes it: the thread finishes what is queued, ends, and drops the last reference.
///
/// Whoever holds the claim executes: the thread, or for small copies a waiter that would otherwise only watch. Handing
/// 64 KiB to a thread that the system has put aside costs a hundred times the copy. In a large copy waiters take part.
final class StreamExecutor: Sendable {
  private struct Queue {
    var waiting: [StreamOperation] = []
    var submittedCount: UInt64 = 0
    var isClosed = false
    var failure: RoostError?
  }

  /// What the holder of the claim has taken from the queue.
  private final class Taken: @unchecked Sendable {
    // Touched only by the holder of the claim.
    var operations: [StreamOperation] = []
    var next = 0
  }

  private let queue = Locked(Queue())
  private let isClaimed = Atomic(false)
  private let taken = Taken()
  private let hasThread = Atomic(false)
  private let threadStart = Locked(())
  private let completedCount = Atomic<UInt64>(0)
  /// Copies up to this number are skipped: all of them after a failure, those queued before it was forgotten later.
  /// Beside the lock, because every copy asks.
  private let skippedCount = Atomic<UInt64>(0)
  /// The large copy that the holder of the claim carries out; waiters may take part.
  private let shared = Locked<SharedCopy?>(nil)
  private let submission = Doorbell()
  private let copyVariant: CInt
  let spinNanoseconds: UInt64
  /// Rings when an operation has ended.
  private let completion = Doorbell()

  init(copyVariant: CInt, spinNanoseconds: UInt64) {
    self.copyVariant = copyVariant
    self.spinNanoseconds = spinNanoseconds
  }

  /// Adds an operation; waits for room if the queue is full. A small copy into an idle stream is executed at once.
  func submit(_ operation: StreamOperation) throws(RoostError) {
    if operation.takesNoTime, executeAtOnce(operation) { return }
    if !hasThread.load(ordering: .acquiring) { try startThread() }
    while let wanted = append(operation) {
      guard waitForCompletion(of: wanted, until: .after(seconds: Limits.submitSeconds)) else {
        throw RoostError(
          .timedOut, "the stream took no operation for \(Int(Limits.submitSeconds)) s",
          context: [("queued operations", "\(Limits.queuedOperationCountMax)")])
      }
    }
    submission.ring()
  }

  /// Appends an operation. If there is no room: the number of the operation that has to be complete first.
  private func append(_ operation: StreamOperation) -> UInt64? {
    queue.withLock { queue in
      let room = Limits.queuedOperationCountMax
      if queue.submittedCount >= room, completedCount.load(ordering: .acquiring) <= queue.submittedCount - room {
        return queue.submittedCount - room + 1
      }
      queue.waiting.append(operation)
      queue.submittedCount += 1
      return nil
    }
  }

  /// Lets the thread end once the queue is empty.
  func close() {
    queue.withLock { $0.isClosed = true }
    submission.ring()
  }

  var status: StreamStatus {
    let (failure, submitted) = queue.withLock { ($0.failure, $0.submittedCount) }
    if let failure { return .failed(failure) }
    return completedCount.load(ordering: .acquiring) >= submitted ? .idle : .busy
  }

  /// Waits for everything submitted before.
  func wait(until deadline: Deadline) throws(RoostError) {
    let wanted = queue.withLock { $0.submittedCount }
    guard waitForCompletion(of: wanted, until: deadline) else {
      throw RoostError(.timedOut, "the stream was still busy when the deadline passed")
    }
    if let failure = queue.withLock({ $0.failure }) { throw failure }
  }

  /// Forgets the failure. What was queued before this call stays skipped.
  func reset() {
    queue.withLock { queue in
      guard queue.failure != nil else { return }
      queue.failure = nil
      skippedCount.store(queue.submittedCount, ordering: .releasing)
    }
  }

  private func waitForCompletion(of count: UInt64, until deadline: Deadline) -> Bool {
    wait(until: deadline) { completedCount.load(ordering: .acquiring) >= count }
  }

  /// Waits until `isDone`, which an operation of this stream makes true: lends a hand, spins, then sleeps. False if the
  /// deadline passed first.
  func wait(until deadline: Deadline, isDone: () -> Bool) -> Bool {
    while true {
      let rings = completion.ringCount
      if isDone() { return true }
      if !deadline.hasPassed() { help(until: deadline, isDone) }
      if !completion.wait(past: rings, spinNanoseconds: spinNanoseconds, until: deadline) { return isDone() }
    }
  }

  private func startThread() throws(RoostError) {
    try threadStart.withLock { _ throws(RoostError) in
      guard !hasThread.load(ordering: .relaxed) else { return }
      try HostThread.start("roost-cpu-copy") { self.run() }.detach()
      hasThread.store(true, ordering: .releasing)
    }
  }

  private func run() {
    while true {
      let rings = submission.ringCount
      if claim() {
        while let operation = takeNext() { execute(operation) }
        isClaimed.store(false, ordering: .releasing)
      }
      let (isClosed, submitted) = queue.withLock { ($0.isClosed, $0.submittedCount) }
      if isClosed, completedCount.load(ordering: .acquiring) == submitted { return }
      submission.wait(past: rings, spinNanoseconds: spinNanoseconds, until: .never)
    }
  }

  /// Executes small operations on the calling thread while nobody else executes, or takes part in a large copy, until
  /// `isDone`.
  private func help(until deadline: Deadline, _ isDone: () -> Bool) {
    guard claim() else {
      guard let copy = shared.withLock({ $0 }) else { return }
      while !deadline.hasPassed(), copy.copyNext() {}
      return
    }
    while !isDone(), let operation = peekNext(), operation.isSmall { if takeNext() != nil { execute(operation) } }
    releaseClaim()
  }

  /// Executes an operation on the calling thread if nothing is before it. False: it has to be queued.
  private func executeAtOnce(_ operation: StreamOperation) -> Bool {
    guard claim() else { return false }
    let isNext = queue.withLock { queue in
      guard queue.submittedCount == completedCount.load(ordering: .relaxed) else { return false }
      queue.submittedCount += 1
      return true
    }
    if isNext { execute(operation) }
    releaseClaim()
    return isNext
  }

  /// Lets the next one execute, and wakes the thread if it was turned away meanwhile, from work or from its end.
  private func releaseClaim() {
    isClaimed.store(false, ordering: .releasing)
    let (isClosed, submitted) = queue.withLock { ($0.isClosed, $0.submittedCount) }
    if isClosed || completedCount.load(ordering: .acquiring) < submitted { submission.ring() }
  }

  private func claim() -> Bool {
    isClaimed.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
  }

  /// The next operation, which stays where it is. The caller holds the claim.
  private func peekNext() -> StreamOperation? {
    if taken.next == taken.operations.count {
      taken.operations.removeAll(keepingCapacity: true)
      taken.next = 0
      queue.withLock { swap(&$0.waiting, &taken.operations) }
    }
    return taken.next < taken.operations.count ? taken.operations[taken.next] : nil
  }

  private func takeNext() -> StreamOperation? {
    guard let operation = peekNext() else { return nil }
    taken.next += 1
    return operation
  }

  /// Executes the operation that was just taken.
  private func execute(_ operation: StreamOperation) {
    execute(operation, number: completedCount.load(ordering: .relaxed) + 1)
    completedCount.wrappingAdd(1, ordering: .releasing)
    completion.ring()
  }

  private func execute(_ operation: StreamOperation, number: UInt64) {
    switch operation {
    case .record(let recording): recording.complete()
    case .call(let action): action()
    case .wait(let recording): _ = recording.wait(until: .never)
    case .work(let work):
      guard number > skippedCount.load(ordering: .acquiring) else { return work.discard() }
      do throws(RoostError) { try work.run() } catch { fail(error) }
    case .copyOne, .copyMany, .copyRows:
      guard number > skippedCount.load(ordering: .acquiring), let failure = copy(operation) else { return }
      fail(failure)
    }
  }

  private func fail(_ failure: RoostError) {
    queue.withLock { queue in
      queue.failure = failure
      skippedCount.store(.max, ordering: .releasing)
    }
  }

  private func copy(_ operation: StreamOperation) -> RoostError? {
    switch operation {
    case .copyOne(let piece):
      guard CopyCheck.isValid(piece) else { return CopyCheck.error(of: piece, index: 0) }
      withUnsafePointer(to: piece) { CopyLoop.copy(UnsafeBufferPointer(start: $0, count: 1), variant: copyVariant) }
      return nil
    case .copyMany(let array):
      if let index = array.firstBad { return CopyCheck.error(of: array.pieces[index], index: index) }
      if operation.isSmall { CopyLoop.copy(array.pieces, variant: copyVariant) } else { copyTogether(array) }
      return nil
    case .copyRows(let rows): return copy(rows)
    case .record, .wait, .call, .work: return nil
    }
  }

  private func copyTogether(_ array: PieceArray) {
    let copy = SharedCopy(array, copyVariant: copyVariant)
    shared.withLock { $0 = copy }
    // For those who wait for the end of it already.
    completion.ring()
    copy.finish(spinNanoseconds: spinNanoseconds)
    shared.withLock { $0 = nil }
  }

  private func copy(_ rows: StridedCopy) -> RoostError? {
    if let error = CopyCheck.error(in: rows) { return error }
    roost_copy_rows(
      rows.source, rows.target, rows.rowByteCount, rows.rowCount, rows.sourcePitch, rows.targetPitch)
    return nil
  }
}
