import RoostBlocks
import RoostEngine
import RoostPrimitives

/// Loads what matched, and checks it.
extension Replay {
  func load(_ request: TraceRequest, _ hits: Int) throws(RoostError) {
    let started = clock.nanoseconds
    let id = RequestID(rawValue: UInt64(statistics.requestCount))
    let keys = UnsafeBufferPointer(rebasing: buffers.keys[..<hits])
    guard let lease = try engine.beginLoad(id, keys, into: buffers.loadGrants) else {
      statistics.loadShortfallCount += hits
      return
    }
    var verifying: UInt64 = 0
    if let mover {
      mover.begin()
      for index in 0..<hits {
        let grant = buffers.loadGrants[index]
        if grant.outcome == .leased { mover.add(request.ids[index], grant.slot, grant.generation) }
      }
      statistics.loadShortfallCount += hits - mover.count
      let flipped = inject(mover)
      while mover.hasMore {
        let moved = try mover.load(lease)
        note(moved)
        statistics.loadedByteCount += moved.byteCount
        statistics.loadSeconds += moved.seconds
        guard configuration.verifies else { continue }
        let before = clock.nanoseconds
        statistics.verifiedPageCount += moved.pageCount
        statistics.verifyFailureCount += mover.mismatchedPageCount()
        verifying += clock.nanoseconds - before
      }
      mover.restore(flipped)
    }
    engine.end(lease)
    statistics.load.add(nanoseconds: clock.nanoseconds - started - verifying)
  }

  /// Flips a byte in each of as many of the pages that are about to be loaded as faults are due.
  private func inject(_ mover: PageMover) -> [PageMover.Fault] {
    let count = faults.take(at: statistics.requestCount, limit: mover.count)
    guard count > 0 else { return [] }
    statistics.faultCount += count
    return mover.corrupt(count)
  }

  func note(_ moved: PageMover.Moved) { statistics.failedCopyCount += moved.failedCount }
}
