import RoostBlocks
import RoostEngine
import RoostPrimitives

/// Computes what is not there, and stores it.
extension Replay {
  func store(_ request: TraceRequest) throws(RoostError) {
    let started = clock.nanoseconds
    let id = RequestID(rawValue: UInt64(statistics.requestCount))
    let keys = UnsafeBufferPointer(rebasing: buffers.keys[..<request.ids.count])
    let outputTokens = configuration.tellsOutputLength ? request.outputTokenCount : nil
    let lease = try engine.beginStore(id, keys, outputTokens: outputTokens, into: buffers.storeGrants)
    mover?.begin()
    for index in request.ids.indices {
      let grant = buffers.storeGrants[index]
      switch grant.outcome {
      case .held: break
      case .refused: statistics.refusedCount += 1
      case .admitted:
        statistics.admittedCount += 1
        mover?.add(request.ids[index], grant.slot, grant.generation)
      }
    }
    guard let lease else { return }
    var filling: UInt64 = 0
    var failed: [(slot: SlotNumber, generation: UInt32)] = []
    if let mover {
      while mover.hasMore {
        let before = clock.nanoseconds
        mover.fill()
        filling += clock.nanoseconds - before
        let moved = try mover.store(lease)
        note(moved)
        statistics.storedByteCount += moved.byteCount
        statistics.storeSeconds += moved.seconds
        failed += mover.failed
      }
    }
    engine.commit(lease, failed: failed)
    statistics.store.add(nanoseconds: clock.nanoseconds - started - filling)
  }
}
