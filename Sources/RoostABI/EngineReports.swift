import CRoostABI
import RoostBlocks
import RoostEngine
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_engine_poll(
  _ handle: roost_engine, _ out: UnsafeMutablePointer<roost_completion>?, _ capacity: Int,
  _ outCount: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outCount = try Arguments.required(outCount, "out_count")
    let target: Arguments.OutArray<roost_completion> = try Arguments.outArray(out, capacity: capacity, "out")
    let engine = try HandleTable.shared.engine(handle)
    let results = engine.takeHandOuts(countMax: target.capacity)
    if !results.isEmpty { try Completions.write(results.map(Completions.item), to: target) }
    outCount.pointee = results.count
  }
}

/// See roost.h.
@c @implementation public func roost_engine_events(
  _ handle: roost_engine, _ out: UnsafeMutablePointer<roost_event>?, _ capacity: Int,
  _ outCount: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outCount = try Arguments.required(outCount, "out_count")
    let target: Arguments.OutArray<roost_event> = try Arguments.outArray(out, capacity: capacity, "out")
    let events = try HandleTable.shared.engine(handle).takeEvents(countMax: target.capacity)
    for (index, event) in events.enumerated() {
      var value = roost_event()
      value.kind = UInt32(event.kind.rawValue)
      value.identity = event.key.identity.rawValue
      value.group = UInt32(event.key.group)
      value.hash_bytes = UInt32(event.key.hashByteCount)
      withUnsafeMutableBytes(of: &value.hash) { target in
        withUnsafeBytes(of: event.key.words) { target.copyMemory(from: $0) }
      }
      target.write(value, at: index)
    }
    outCount.pointee = events.count
  }
}

/// See roost.h.
@c @implementation public func roost_engine_leases(
  _ handle: roost_engine, _ olderSeconds: Double, _ out: UnsafeMutablePointer<roost_lease>?, _ capacity: Int,
  _ outCount: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outCount = try Arguments.required(outCount, "out_count")
    let target: Arguments.OutArray<roost_lease> = try Arguments.outArray(out, capacity: capacity, "out")
    let engine = try HandleTable.shared.engine(handle)
    let older = olderSeconds.isNaN ? 0 : min(olderSeconds, Limits.timeoutSecondsMax)
    let leases = engine.leases(olderThanSeconds: older)
    for (index, leak) in leases.prefix(target.capacity).enumerated() {
      let report = leak.lease
      target.write(
        roost_lease(
          struct_bytes: 0, lease: report.id.rawValue, request: report.origin.request.rawValue,
          owner: report.origin.owner, verb: UInt32(report.kind == .store ? ROOST_STORE : ROOST_LOAD),
          slot_count: UInt64(report.slotCount), age_seconds: Double(report.age) / 1e9,
          is_copying: report.copying == 0 ? 0 : 1, reserved: 0), at: index)
    }
    outCount.pointee = leases.count
  }
}

/// See roost.h.
@c @implementation public func roost_engine_stats(
  _ handle: roost_engine, _ out: UnsafeMutablePointer<roost_stats>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let target: Arguments.OutArray<roost_stats> = try Arguments.outArray(out, capacity: 1, "out")
    let statistics = try HandleTable.shared.engine(handle).statistics
    target.write(roost_stats(statistics), at: 0)
  }
}

extension roost_stats {
  fileprivate init(_ statistics: EngineStatistics) {
    let blocks = statistics.blocks
    self.init()
    lookups = UInt64(blocks.lookups)
    hits = UInt64(blocks.hits)
    misses = UInt64(blocks.misses)
    offered = UInt64(blocks.offered)
    held = UInt64(blocks.held)
    admitted = UInt64(blocks.admitted)
    refused = UInt64(blocks.refused)
    adopted = UInt64(blocks.adopted)
    published = UInt64(blocks.published)
    aborted = UInt64(blocks.aborted)
    evicted = UInt64(blocks.evicted)
    retired = UInt64(blocks.retired)
    leased = UInt64(blocks.leased)
    missing = UInt64(blocks.missing)
    stale = UInt64(blocks.stale)
    reclaimed = UInt64(blocks.reclaimed)
    capacity = UInt64(blocks.capacity)
    free = UInt64(blocks.free)
    allocated = UInt64(blocks.allocated)
    resident = UInt64(blocks.resident)
    evictable = UInt64(blocks.evictable)
    unkeyed = UInt64(blocks.unkeyed)
    ghosts = UInt64(blocks.ghosts)
    leases = UInt64(blocks.leases)
    handed_out = UInt64(statistics.handedOut)
    sealed = UInt64(statistics.sealed)
    checked = UInt64(statistics.checked)
    corrupt = UInt64(statistics.corrupt)
    failed_blocks = UInt64(statistics.failedBlocks)
    workers = UInt64(statistics.attachments)
    workers_gone = UInt64(statistics.attachmentsGone)
    committed_bytes = UInt64(statistics.committedBytes)
    events_dropped = UInt64(statistics.eventsDropped)
  }
}
