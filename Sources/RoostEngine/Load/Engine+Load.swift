import RoostBlocks
import RoostPrimitives

extension Engine {
  /// Holds the pages that can be loaded now, until `end`. The keys may belong to several groups.
  ///
  /// Pages that have to be checked are checked here, in the caller's thread and outside the lock; what differs is
  /// dropped, counted and `missing`.
  ///
  /// - Returns: the lease, nil if nothing can be loaded.
  /// - Throws: `outOfResources` when too many leases live, `busy` while the engine drains.
  public func beginLoad(
    _ request: RequestID, _ keys: UnsafeBufferPointer<Key>, owner: UInt32 = 0,
    into grants: UnsafeMutableBufferPointer<LoadGrant>
  ) throws(RoostError) -> LeaseID? {
    let origin = RequestOrigin(request: request, owner: owner, time: configuration.clock.nanoseconds)
    let (lease, hasUnchecked) = try state.withLock { state throws(RoostError) in
      guard !state.isDraining else { throw Engine.draining }
      let lease = try state.table.beginLoad(keys, origin, into: grants)
      // What a prefetch held for the request is in its own hands now.
      if let books = state.books { letGo(books.prefetches.end(of: request), &state) }
      return (lease, !state.unchecked.isEmpty)
    }
    if lease != nil, hasUnchecked || sealsAtOnce { checkSeals(keys, grants) }
    return lease
  }

  /// The load is over: its pages are let go when no copy runs under the lease.
  @discardableResult public func end(_ lease: LeaseID) -> LeaseAnswer { giveUp(lease) }
}
