import RoostDevice
import RoostPrimitives
import Synchronization

/// Copies pages between a device and host memory: stores and loads each on a stream of their own, at the same time.
///
/// It knows no blocks' keys, no leases and no pool: a slot is an address. The caller keeps slots and device memory
/// alive, and their pages untouched, from `submit` until the job's result is taken; a store may be read and a load
/// overwritten by nobody meanwhile.
///
/// `submit` returns at once. A few jobs a direction are with the device; the rest wait and can be cancelled. A job of
/// many pieces, one that had to wait, and one whose template is staged are started by a thread of the lane, so that they
/// go on whether or not anybody polls - unless the caller has said that it waits for the job (`isAwaited`). Jobs of one
/// direction start in the order of their submission.
///
/// After a failed copy every job that was then with the device in that direction reports the failure, even one whose
/// copies were complete but not yet polled for; then the stream is reset and later jobs run. Thread-safe.
public final class TransferQueue: Sendable {
  private let store: TransferLane
  private let load: TransferLane
  private let board = ResultBoard()
  private let ticketCount = Atomic<UInt64>(0)
  private let isClosed = Atomic(false)

  /// Makes a queue with a stream of normal priority for stores and one of high priority for loads.
  ///
  /// - Throws: what the device throws when it makes streams.
  public init(device: any Device) throws(RoostError) {
    store = try TransferLane(.store, on: device, board: board)
    load = try TransferLane(.load, on: device, board: board)
  }

  /// Copies that the device has begun go on; jobs that wait are dropped.
  deinit {
    store.stop()
    load.stop()
  }

  /// Starts copying `pages`, which are read before the call returns. No page may share bytes with another one of the
  /// job on the side that is written. The result comes from `poll` or `wait`, also if there are no pages.
  ///
  /// - Throws: `invalidInput` for a block id out of range or an impossible slot address, which names the page;
  ///   `outOfResources` if 65,536 jobs have not been polled for, or the device has no events left; `stale` after
  ///   `close`. Nothing is copied then, and no result will come.
  public func submit(
    _ job: TransferJob, _ pages: UnsafeBufferPointer<PageCopy>
  ) throws(RoostError) -> TransferTicket {
    try job.template.check(pages)
    return try submit(job, PageSource(checked: pages))
  }

  /// The same with pages that are listed when the job starts: at once if they are few, by the lane's thread or whoever
  /// waits for the job if they are many. A page that is no good then fails the job before anything is copied.
  public func submit(_ job: TransferJob, _ source: PageSource) throws(RoostError) -> TransferTicket {
    guard !isClosed.load(ordering: .acquiring) else { throw RoostError(.stale, "the transfer queue is closed") }
    try board.open()
    let count = ticketCount.wrappingAdd(1, ordering: .relaxed).newValue
    let ticket = TransferTicket(count: count, direction: job.direction)
    do {
      try lane(of: ticket).submit(job, source, as: ticket)
    } catch {
      board.abandon()
      throw error
    }
    return ticket
  }

  /// Appends the results of all jobs that have ended, oldest first, and says how many. Does not block.
  @discardableResult
  public func poll(into results: inout [TransferResult]) -> Int {
    store.harvest()
    load.harvest()
    store.rouse()
    load.rouse()
    return board.takeAll(into: &results)
  }

  /// Waits for one job and takes its result.
  ///
  /// - Throws: `timedOut` (the job goes on), `notFound` if there is no such job or its result was taken before.
  public func wait(for ticket: TransferTicket, until deadline: Deadline) throws(RoostError) -> TransferResult {
    let lane = lane(of: ticket)
    while true {
      let rings = board.bell.ringCount
      lane.harvest()
      if let result = board.take(ticket) { return result }
      switch lane.whereabouts(of: ticket) {
      case .running(let event):
        // Awaited jobs behind this one are written while it is copied.
        lane.rouse()
        try? event.wait(until: deadline)
      case .waiting:
        if lane.startWaiting() { continue }
        lane.rouse()
        let slice = Deadline.after(seconds: Limits.driverPatienceSeconds)
        board.bell.wait(past: rings, spinNanoseconds: Limits.spinNanoseconds, until: min(slice, deadline))
      case .gone:
        if let result = board.take(ticket) { return result }
        throw RoostError(.notFound, "no result of this job is left to take", context: [("job", "\(ticket.rawValue)")])
      }
      guard deadline.hasPassed() else { continue }
      lane.harvest()
      if let result = board.take(ticket) { return result }
      throw RoostError(.timedOut, "the copies had not ended when the deadline passed")
    }
  }

  /// Cancels a job that has not started; its result comes as `cancelled`. False if it was too late.
  @discardableResult
  public func cancel(_ ticket: TransferTicket) -> Bool { lane(of: ticket).cancel(ticket) }

  /// An event that completes with the job's copies, for a stream that must wait for them; nil while the device does not
  /// take the job yet, while it is staged, or after its end. The event stays good after the job's end.
  public func completionEvent(of ticket: TransferTicket) -> (any DeviceEvent)? {
    lane(of: ticket).startWaiting(upTo: ticket)
    return lane(of: ticket).exposeEvent(of: ticket)
  }

  /// Accepts no more jobs, cancels those that wait, and waits for those that run. Results can still be taken.
  ///
  /// - Throws: `timedOut` if copies still ran at the deadline; the queue is closed anyway.
  public func close(until deadline: Deadline) throws(RoostError) {
    isClosed.store(true, ordering: .releasing)
    store.cancelAll()
    load.cancelAll()
    let isDrained = [store.drain(until: deadline), load.drain(until: deadline)]
    store.stop()
    load.stop()
    guard isDrained == [true, true] else {
      throw RoostError(.timedOut, "copies still ran when the deadline passed")
    }
  }

  private func lane(of ticket: TransferTicket) -> TransferLane { ticket.direction == .store ? store : load }
}
