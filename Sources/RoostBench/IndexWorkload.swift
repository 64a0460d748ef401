import Glibc
import RoostBlocks
import RoostPrimitives

/// Processor time of the calling thread. What is measured here waits for nothing but memory, so on a quiet machine this
/// is the time on the clock, and on a busy one it leaves out the time in which others ran.
enum ThreadTime {
  /// Nanoseconds that `body` takes, once.
  static func nanoseconds(_ body: () throws(RoostError) -> Void) throws(RoostError) -> Double {
    let start = now
    try body()
    return Double(max(1, now &- start))
  }

  private static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}

/// Keys for one sample, cut into requests of `IndexBench.batch`. Not thread-safe.
final class KeyBatches {
  let count: Int
  private let keys: UnsafeMutableBufferPointer<Key>
  private let found: UnsafeMutablePointer<RecordNumber>

  /// `count` must be a multiple of the batch.
  init(count: Int) {
    self.count = count
    keys = .allocate(capacity: count)
    keys.initialize(repeating: IndexBench.key(0))
    found = .allocate(capacity: IndexBench.batch)
    found.initialize(repeating: .none, count: IndexBench.batch)
  }

  deinit {
    keys.deallocate()
    found.deallocate()
  }

  func fill(_ key: (_ position: Int) -> Key) {
    for position in 0..<count { keys[position] = key(position) }
  }

  /// Nanoseconds a key of `body`, called with one request after another and room for a record a key.
  func time(
    first limit: Int = .max,
    _ body: (UnsafeBufferPointer<Key>, UnsafeMutablePointer<RecordNumber>) throws(RoostError) -> Void
  ) throws(RoostError) -> Double {
    let end = min(limit, count)
    let nanoseconds = try ThreadTime.nanoseconds { () throws(RoostError) in
      for start in stride(from: 0, to: end, by: IndexBench.batch) {
        try body(UnsafeBufferPointer(rebasing: keys[start..<start + IndexBench.batch]), found)
      }
    }
    return nanoseconds / Double(max(1, end))
  }
}

/// A table and the engine's verbs on it, with the buffers that they answer into. Not thread-safe.
final class TableWorkload {
  private var table: BlockTable
  private let states = UnsafeMutableBufferPointer<KeyState>.allocate(capacity: IndexBench.batch)
  private let stores = UnsafeMutableBufferPointer<StoreGrant>.allocate(capacity: IndexBench.batch)
  private let loads = UnsafeMutableBufferPointer<LoadGrant>.allocate(capacity: IndexBench.batch)
  private let changes = UnsafeMutableBufferPointer<SlotChange>.allocate(capacity: IndexBench.batch)
  private let origin = RequestOrigin(request: RequestID(rawValue: 1), time: 0)

  init(slotCount: Int) throws(RoostError) {
    table = try BlockTable(BlockTableConfiguration(slotCountMax: slotCount, policy: LeastRecentlyUsed.factory))
    table.addSlots(0..<UInt32(slotCount), SlotClass(rawValue: 0))
  }

  deinit {
    states.deallocate()
    stores.deallocate()
    loads.deallocate()
    changes.deallocate()
  }

  var bytesPerSlot: Double { table.bytesPerSlot }

  func match(_ keys: UnsafeBufferPointer<Key>) { table.match(keys, into: states) }

  func load(_ keys: UnsafeBufferPointer<Key>) throws(RoostError) {
    guard let lease = try table.beginLoad(keys, origin, into: loads) else { return }
    table.end(lease)
  }

  func store(_ keys: UnsafeBufferPointer<Key>) throws(RoostError) {
    let request = StoreRequest(origin: origin, keys: keys, slotClass: SlotClass(rawValue: 0))
    guard let lease = try table.beginStore(request, into: stores) else { return }
    table.commit(lease)
    while table.drainChanges(into: changes) == changes.count {}
  }
}
