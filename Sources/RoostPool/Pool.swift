import Glibc
import RoostPrimitives
import Synchronization

/// The host memory that holds pages, in the process that owns it.
///
/// Life cycle: 1. `open` returns at once, with nothing or - a kept pool - with what the former owner left. 2. A thread
/// commits chunk after chunk; `cut` turns committed chunks into slots. 3. Other processes attach (`PoolAttachment`) and
/// are told about chunks, cuts and messages in order; `events` reports them. 4. `close` ends that. The memory stays
/// mapped as long as `memory` is referenced.
///
/// Thread-safe, except that rows are written by one thread at a time (the one that drives the block table). Not usable
/// in a child that `fork` made.
public final class Pool: Sendable {
  /// What was asked for.
  public let configuration: PoolConfiguration
  /// The pool's memory in this process.
  public let memory: SlotMemory
  /// What a former owner left; nil for a pool that started empty.
  public let adoption: Adoption?
  /// Where other processes attach.
  public let address: PoolAddress

  let table: SlotTable
  private let growth: PoolGrowth
  private let committer: Committer
  let socket: OwnerSocket?
  private let directory: PoolDirectory?
  private let process = getpid()
  private let isClosed = Atomic<Bool>(false)

  /// Opens a pool and becomes its owner.
  ///
  /// Returns within milliseconds; memory comes afterwards. A system that gives less than asked for makes the pool
  /// smaller, with one log line. Waits only if workers of a kept pool's former owner have not left yet, 5 s at most.
  ///
  /// - Throws: `busy` if the pool has an owner; `invalidInput` for a bad configuration; `outOfResources` if there is no
  ///   room for even one slot.
  public static func open(_ configuration: PoolConfiguration) throws(RoostError) -> Pool {
    let directory = try PoolOpening.claim(configuration)
    do throws(RoostError) {
      return try Pool(PoolOpening(configuration, directory))
    } catch {
      directory?.removeUnlessKept()
      throw error
    }
  }

  private init(_ opening: PoolOpening) throws(RoostError) {
    configuration = opening.configuration
    memory = opening.memory
    table = opening.table
    directory = opening.directory
    address = opening.address
    adoption = opening.scan?.found
    socket = try opening.makeSocket()
    let growth = PoolGrowth(opening, socket)
    self.growth = growth
    committer = Committer(
      Committer.Site(
        name: configuration.name, memory: memory, table: table, store: opening.store,
        usesHugePages: configuration.hugePages != .none, rowCountNeeded: { growth.rowCountNeeded },
        numaNodes: configuration.numaNodes, publish: { growth.publish($0, $1, $2) },
        settle: { growth.settle($0) }))
    for announcement in opening.scan?.announcements ?? [] { socket?.announce(announcement) }
    if let found = adoption { report(found) }
    try socket?.start()
    do throws(RoostError) {
      try committer.start(opening.scan?.missing ?? Array(0..<memory.plan.chunkCount))
    } catch {
      socket?.stop()
      throw error
    }
  }

  deinit { close() }

  private func report(_ found: Adoption) {
    Log.write(.info, "pool '\(configuration.name)': adopted \(found.rows.count) pages")
    guard found.droppedRowCount + found.droppedChunkCount > 0 else { return }
    Log.write(
      .warning,
      "pool '\(configuration.name)': dropped \(found.droppedRowCount) pages that were unfinished, unsealed or damaged, "
        + "and \(found.droppedChunkCount) damaged chunks")
  }

  /// Ends the pool: stops its threads, lets go of the attachments, and removes its files unless it is kept. Waits for
  /// the step of a commit that is running (a fraction of a second). Further calls do nothing, and neither does a call
  /// in a child that `fork` made.
  ///
  /// Attached processes keep their mapping until they detach; the memory in this process goes with the last reference
  /// to `memory`.
  public func close() {
    guard getpid() == process, !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
    committer.stop()
    growth.end()
    socket?.stop()
    if !configuration.isKept { directory?.removeAll() }
    directory?.release()
  }

  // MARK: Memory

  /// How much of the pool there is now.
  public var capacity: PoolCapacity { growth.capacity }

  /// Waits until at least `bytes` are committed or no more come, be it that the pool is closed; returns what there is
  /// then, or at the deadline.
  public func wait(forBytes bytes: Int, until deadline: Deadline) -> PoolCapacity {
    growth.wait(forBytes: bytes, until: deadline)
  }

  /// Cuts the next committed chunk into slots of a class. Does not wait. Attachments are told before this returns.
  ///
  /// - Precondition: `slotClass` is an index of the configuration's slot sizes.
  public func cut(_ slotClass: Int) -> Cut {
    precondition(configuration.slotByteCounts.indices.contains(slotClass), "there is no such slot size class")
    return growth.cut(slotClass)
  }

  /// The first byte of a slot: `memory.address(of:)`.
  public func address(of slot: SlotNumber) -> UnsafeMutableRawPointer { memory.address(of: slot) }

  /// The installed memory of this machine, nil if unknown: what no pool in memory should exceed.
  public static var machineMemoryBytes: Int? { MemoryLimits.machineBytes }
}
