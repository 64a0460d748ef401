import RoostBlocks
import RoostEngine
import RoostPrimitives
import RoostStorage

/// The tier below the pool: pages of a request that lie there are brought up before it loads, and what is worth a write
/// is written after it has stored. The tier gets the time that it needs for either.
extension Replay {
  /// Brings up what lies below in the request's leading run.
  ///
  /// - Returns: how many of its blocks are ready now.
  func bringUp(_ request: TraceRequest, _ matched: Int) throws(RoostError) -> Int {
    guard tier != nil else { return matched }
    let reach = buffers.states[..<request.ids.count].prefix { $0 != .absent }.count
    guard reach > matched else { return matched }
    let started = clock.nanoseconds
    let id = RequestID(rawValue: UInt64(statistics.requestCount))
    let keys = UnsafeBufferPointer(rebasing: buffers.keys[..<reach])
    guard case .started(let prefetch) = try engine.prefetch(id, keys, until: .never) else { return matched }
    while engine.progress(of: prefetch)?.isOver == false { turnTier() }
    statistics.tier?.readSeconds += Double(clock.nanoseconds - started) / 1e9
    let ready = engine.match(keys, into: buffers.states)
    // Without a load nobody takes over what is held.
    if ready == 0 { engine.endPrefetch(prefetch) }
    statistics.tier?.hitCount += ready - matched
    return ready
  }

  /// Lets everything be written that waits for it.
  func letTierWork() {
    guard tier != nil else { return }
    let started = clock.nanoseconds
    while turnTier() {}
    statistics.tier?.writeSeconds += Double(clock.nanoseconds - started) / 1e9
  }

  /// Counts what the tier did.
  func finishTier() {
    guard let known = engine.statistics.tier else { return }
    statistics.tier?.atEnd = known
  }

  /// False: there is nothing left to do.
  @discardableResult private func turnTier() -> Bool {
    switch engine.turnTier() {
    case .busy: return true
    case .waits:
      _ = tier?.wait(until: .after(seconds: Limits.tierWaitSeconds))
      return true
    case .idle, .over: return false
    }
  }
}
