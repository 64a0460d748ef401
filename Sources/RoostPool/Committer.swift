import CRoostPlatform
import Glibc
import RoostPrimitives
import Synchronization

/// Commits a pool's chunks one after another on a thread of its own: looks at the limits, allocates, populates,
/// publishes. A shortage ends it: what has been committed until then is the capacity.
final class Committer: Sendable {
  /// What the committer works on and whom it tells.
  struct Site: Sendable {
    var name: String
    var memory: SlotMemory
    var table: SlotTable
    var store: ChunkStore
    var usesHugePages: Bool
    /// How many rows must exist before one more chunk is published.
    var rowCountNeeded: @Sendable () -> Int
    var numaNodes: [Int]
    /// Called on the committer's thread for each chunk, before the next one.
    var publish: @Sendable (_ chunk: Int, _ byteCount: Int, _ file: Descriptor) -> Void
    /// Called once, at the end, with the reason if capacity is missing.
    var settle: @Sendable (_ shortage: String?) -> Void
  }

  private enum Outcome {
    case committed
    case short(String)
    case stopped
  }

  private let site: Site
  private let limits = MemoryLimits()
  /// Where the kernel makes huge pages on request only, the request is the mapping's, so memory must come into being
  /// by touching it through the mapping. Elsewhere, allocating first costs a fifth less.
  private let touchesFirst: Bool
  private let isStopped = Atomic<Bool>(false)
  private let thread = Locked<HostThread?>(nil)

  init(_ site: Site) {
    self.site = site
    let isOnRequest =
      SmallFile.line("/sys/kernel/mm/transparent_hugepage/shmem_enabled")?.contains("[advise]") == true
      || SmallFile.text("/proc/self/mountinfo")?.contains("huge=advise") == true
    touchesFirst = site.usesHugePages && isOnRequest
  }

  /// Starts committing `chunks`, after populating those that are mapped already.
  func start(_ chunks: [Int]) throws(RoostError) {
    let started = try HostThread.start("roost-commit") { self.run(chunks) }
    thread.withLock { $0 = started }
  }

  /// Stops after the step that is running, and waits for that.
  func stop() {
    isStopped.store(true, ordering: .releasing)
    thread.withLock { $0.take() }?.join()
  }

  private func run(_ chunks: [Int]) {
    for chunk in site.memory.chunks {
      site.memory.populate(chunk) { isStopped.load(ordering: .acquiring) }
    }
    for chunk in chunks {
      switch commit(chunk) {
      case .committed: continue
      case .short(let reason): return site.settle(reason)
      case .stopped: return
      }
    }
    site.settle(nil)
  }

  private func commit(_ chunk: Int) -> Outcome {
    do throws(RoostError) {
      // Rows first: a chunk that takes the last byte must not be in vain.
      if let reason = try allocateRows() { return .short(reason) }
      let outcome = try commitMemory(chunk)
      if case .stopped = outcome { discard(chunk) }
      return outcome
    } catch {
      discard(chunk)
      guard site.store.usesReservedPages else { return .short("\(error)") }
      site.store.fallBackToSmallPages("\(error)")
      return commit(chunk)
    }
  }

  private func discard(_ chunk: Int) {
    site.memory.unmap(chunk: chunk)
    site.store.remove(chunk: chunk)
  }

  private func commitMemory(_ chunk: Int) throws(RoostError) -> Outcome {
    var byteCount = site.memory.plan.byteCount(of: chunk)
    let file = try site.store.make(chunk: chunk, byteCount: byteCount)
    try site.memory.map(chunk: chunk, file: file, byteCount: byteCount, hugePages: site.usesHugePages)
    if !site.numaNodes.isEmpty {
      let node = site.numaNodes[chunk % site.numaNodes.count]
      // A machine without the node, or a container that may not say: any memory is better than none.
      _ = roost_memory_prefer_node(site.memory.address(ofChunk: chunk), byteCount, CInt(node))
    }
    let (allocated, shortage) = allocate(chunk, file, byteCount)
    if isStopped.load(ordering: .acquiring) { return .stopped }
    if allocated < byteCount {
      // Reserved pages come whole chunks at a time, or are replaced by others.
      if site.store.usesReservedPages { throw RoostError(.outOfResources, shortage ?? "") }
      byteCount = try shorten(chunk, file, to: allocated)
      guard byteCount > 0 else { return .short(shortage ?? "") }
    }
    site.store.seal(file)
    site.table.setCommitted(chunk: chunk, byteCount: byteCount)
    site.memory.publish(chunk: chunk, byteCount: byteCount, isPopulated: true)
    site.publish(chunk, byteCount, file)
    return shortage.map { .short($0) } ?? .committed
  }

  /// Allocates rows for every slot that the chunks so far and one more may be cut into. Returns a reason if there is
  /// no room for them.
  private func allocateRows() throws(RoostError) -> String? {
    let count = site.rowCountNeeded()
    let room = limits.room(for: site.table.file)
    guard room.bytes >= site.table.bytesToAllocate(rows: count) else { return room.reason }
    try site.table.allocateRows(count)
    return nil
  }

  /// Allocates a mapped chunk step by step. Returns how many bytes there are now, and why there are not more.
  private func allocate(_ chunk: Int, _ file: Descriptor, _ byteCount: Int) -> (Int, shortage: String?) {
    let place = site.memory.address(ofChunk: chunk)
    var done = 0
    while done < byteCount {
      if isStopped.load(ordering: .acquiring) { return (done, nil) }
      let room = limits.room(for: file)
      let wanted = min(Limits.commitStepBytes, byteCount - done)
      let step = min(wanted, room.bytes.roundedDown(to: Limits.pageBytes))
      guard step > 0 else { return (done, room.reason) }
      // It may fail: the word on whether the memory is there is fallocate's.
      if touchesFirst, !site.store.usesReservedPages { _ = roost_memory_populate(place + done, step, 1) }
      let result = roost_file_allocate(file.number, Int64(done), Int64(step))
      guard result == 0 else {
        return (done, step < wanted ? room.reason : String(cString: strerror(-result)))
      }
      _ = roost_memory_populate(place + done, step, 1)
      done += step
      // Asked again, so that the figures in it are those of now.
      if step < wanted { return (done, limits.room(for: file).reason) }
    }
    return (done, nil)
  }

  /// Makes a chunk of what could be allocated: shortens the file and maps it anew. Less than a slot is given back.
  private func shorten(_ chunk: Int, _ file: Descriptor, to allocated: Int) throws(RoostError) -> Int {
    site.memory.unmap(chunk: chunk)
    guard allocated >= site.memory.plan.smallestStrideBytes else {
      site.store.remove(chunk: chunk)
      return 0
    }
    guard ftruncate(file.number, off_t(allocated)) == 0 else {
      throw .system("ftruncate", errno, "cannot shorten chunk \(chunk) of the pool")
    }
    try site.memory.map(chunk: chunk, file: file, byteCount: allocated, hugePages: site.usesHugePages)
    return allocated
  }
}
