import Glibc
import RoostPrimitives
import RoostStorage

/// Pages in a few large files of one directory, as long as the directory lives: across restarts, kills and losses of
/// power, within a hard cap of bytes, and never a wrong byte. `DiskCore` says how.
///
/// The directory belongs to one process at a time. Files: `lock`, `store`, `segment-0000` ..., and `snapshot` while
/// nobody has it open. Nothing here has a thread of its own but the fallback of io_uring: whoever submits must poll.
public final class DiskTier: Tier {
  let core: Guarded<DiskCore>
  let queue: any StorageQueue
  private let configuration: DiskTierConfiguration

  /// `disk`.
  public let name = "disk"

  /// Takes a directory. Quick: nothing is allocated or read before `recover`.
  ///
  /// - Throws: `busy` if another process has it, `invalidInput` for a configuration that cannot work.
  public init(_ directory: any StorageDirectory, _ configuration: DiskTierConfiguration) throws(RoostError) {
    let core = try DiskCore(directory, configuration)
    queue = core.queue
    self.core = Guarded(core)
    self.configuration = configuration
  }

  /// Without `close` before, as after a kill: the next start reads all headers.
  deinit { if claimClose() { letGo() } }

  /// How pages are moved: `io_uring, direct`.
  public var ioDescription: String { queue.description }

  /// Registers memory with io_uring, as far as the limit on locked memory allows; threads gain nothing by it.
  public func register(_ memory: UnsafeMutableRawBufferPointer) {
    // A pool that has one chunk more does not matter to a tier that is closing.
    guard !core.withLock({ $0.isClosed }) else { return }
    queue.register(memory)
  }

  /// Takes a batch in and starts what the depth allows. Waits for the drive only where a segment has to be cut, once in
  /// many pages.
  public func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    var served: Set<Int> = []
    while let cutting = core.withLock({ $0.nextCutting(for: batch, sparing: served) }) {
      served.insert(cutting.header.slotByteCount)
      var failure: RoostError?
      do throws(RoostError) { try cutting.write() } catch { failure = error }
      core.withLock { core in
        core.finish(cutting, failure)
        core.cuttingCount -= 1
      }
    }
    return try core.withLock { (core) throws(RoostError) in try core.submit(batch) }
  }

  /// Takes in what the drive has done, checks what arrived, and starts what waits.
  public func poll(_ max: Int, into events: inout [TierEvent]) {
    advance()
    core.withLock { $0.ledger.take(max, into: &events) }
  }

  private func advance() {
    var arrivals = core.withLock { core in
      let arrivals = core.reap()
      core.pump()
      core.checkingCount += arrivals.isEmpty ? 0 : 1
      return arrivals
    }
    guard !arrivals.isEmpty else { return }
    for index in arrivals.indices { arrivals[index].check() }
    core.withLock { core in
      core.finish(arrivals)
      core.checkingCount -= 1
      core.pump()
    }
  }

  /// Waits for the drive.
  public func wait(until deadline: Deadline) -> Bool {
    if core.withLock({ $0.ledger.hasEvents }) { return true }
    return queue.wait(until: deadline)
  }

  /// Looks into the index, without I/O and without waiting for any.
  public func peek(_ names: [PageName], into found: inout [Bool]) {
    core.withLock { core in found = names.map { core.readable($0) != nil } }
  }

  /// What it holds.
  public var usage: TierUsage {
    core.withLock { core in
      var usage = TierUsage()
      usage.capacityBytes = configuration.capacity.bytes
      usage.occupiedBytes = core.occupiedBytes
      usage.pageCount = core.table.pageCount
      usage.pageBytes = core.table.pageBytes
      usage.quarantinedCount = core.table.quarantinedCount
      usage.registeredBytes = queue.registeredBytes
      usage.inFlightCount = core.ledger.inFlightCount
      if case .open = core.gate {} else { usage.isWriteStopped = true }
      usage.counters = core.ledger.counters
      usage.counters.evictedCount = core.table.evictedCount
      return usage
    }
  }

  /// Allocates the files and finds the pages in them. Reads headers only, or the snapshot of a clean shutdown.
  public func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport {
    let clock = configuration.clock
    let start = clock.nanoseconds
    let claim = core.withLock { core in
      defer { core.isRecovering = true }
      return core.isRecovering || core.isClosed ? nil : (core.directory, core.record, core.isRecordFound)
    }
    guard let (directory, record, isRecordFound) = claim else {
      throw RoostError(.invalidInput, "a disk tier recovers once")
    }
    // Nobody else touches what this makes until it is handed over.
    let recovery: Recovery
    do throws(RoostError) {
      recovery = try Recovery(directory, configuration, record, isRecordFound: isRecordFound, until: deadline)
    } catch {
      core.withLock { $0.isRecovering = false }
      throw error
    }
    return core.withLock { core in
      core.install(recovery)
      var report = recovery.report
      report.pageCount = core.table.pageCount
      report.byteCount = core.table.pageBytes
      report.quarantinedCount = core.table.quarantinedCount
      report.identityCount = core.table.identities.digests.count
      report.seconds = Double(clock.nanoseconds &- start) / 1e9
      return report
    }
  }

  /// Takes the pages of an identity out of sight, and overwrites them when there is nothing better to do.
  public func forget(_ identity: IdentityDigest) throws(RoostError) -> Int {
    try core.withLock { (core) throws(RoostError) in try core.forget(identity) }
  }

  /// Waits until everything submitted has ended, and makes all of it durable.
  public func drain(until deadline: Deadline) throws(RoostError) {
    try settle(until: deadline)
    let (files, forgetError) = core.withLock { ($0.takeUnsynced(), $0.takeForgetError()) }
    for (number, file) in files {
      do throws(RoostError) {
        try file.sync()
      } catch {
        core.withLock { core in
          for (left, _) in files where left >= number { core.unsyncedSegments.insert(left) }
        }
        throw error
      }
    }
    if let forgetError { throw forgetError }
  }

  private func settle(until deadline: Deadline) throws(RoostError) {
    while true {
      advance()
      if core.withLock({ $0.isIdle }) { return }
      guard configuration.clock.nanoseconds < deadline.nanoseconds else {
        throw RoostError(.timedOut, "the disk tier did not come to rest in time")
      }
      // Short, so that a second poller that took the completions is noticed.
      _ = queue.wait(until: .after(seconds: 0.01))
    }
  }

  /// Ends what is under way, leaves a snapshot if there was time for that, and lets go of the directory. A drive that is
  /// stuck holds it up: it has the caller's memory.
  public func close(until deadline: Deadline) {
    guard claimClose() else { return }
    do throws(RoostError) {
      try drain(until: deadline)
      try core.withLock { (core) throws(RoostError) in try core.writeSnapshot() }
    } catch {
      Log.write(.warning, "disk tier: closed without a snapshot, so the next start reads all headers: \(error)")
    }
    letGo()
  }

  /// True for the first who wants to close.
  private func claimClose() -> Bool {
    core.withLock { core in
      defer { core.isClosed = true }
      return !core.isClosed
    }
  }

  private func letGo() {
    core.withLock { $0.isLettingGo = true }
    // Others may be in the middle of a call: what they do without the lock, to the caller's memory and to the files, ends
    // before memory and directory are free.
    while core.withLock({ $0.checkingCount + $0.cuttingCount > 0 }) { usleep(100) }
    queue.close()
    core.withLock { $0.letGo() }
  }
}
