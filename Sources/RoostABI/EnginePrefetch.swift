import CRoostABI
import RoostBlocks
import RoostEngine
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_engine_prefetch(
  _ handle: roost_engine, _ request: UnsafePointer<roost_request>?, _ lists: UnsafePointer<roost_keys>?,
  _ listCount: Int, _ timeout: Double, _ outAnswer: UnsafeMutablePointer<UInt32>?,
  _ outPrefetch: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outAnswer = try Arguments.required(outAnswer, "out_answer")
    let outPrefetch = try Arguments.required(outPrefetch, "out_prefetch")
    let engine = try HandleTable.shared.engine(handle)
    let request = try RequestID.checked(try Arguments.structure(request, "request").request)
    guard listCount >= 0 else {
      throw Arguments.tooMany("lists", listCount, engine.configuration.groups.count)
    }
    let lists: [roost_keys] = try Arguments.structures(
      lists, count: listCount, max: engine.configuration.groups.count, "lists")
    let reader = try KeyReader(lists, engine)
    defer { reader.free() }
    let answer = try engine.prefetch(
      request, UnsafeBufferPointer(reader.keys), until: Arguments.deadline(timeout))
    outPrefetch.pointee = 0
    switch answer {
    case .nothingBelow: outAnswer.pointee = UInt32(ROOST_NOTHING_BELOW)
    case .recompute: outAnswer.pointee = UInt32(ROOST_RECOMPUTE)
    case .started(let prefetch):
      outAnswer.pointee = UInt32(ROOST_PREFETCHING)
      outPrefetch.pointee = prefetch.rawValue
    }
  }
}

/// See roost.h.
@c @implementation public func roost_engine_prefetch_progress(
  _ handle: roost_engine, _ prefetch: UInt64, _ out: UnsafeMutablePointer<roost_prefetch_progress>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let target: Arguments.OutArray<roost_prefetch_progress> = try Arguments.outArray(out, capacity: 1, "out")
    let progress = try HandleTable.shared.engine(handle).progress(of: PrefetchID(rawValue: prefetch))
    var value = roost_prefetch_progress()
    if let progress {
      value.wanted = UInt64(progress.wanted)
      value.arrived = UInt64(progress.arrived)
      value.failed = UInt64(progress.failed)
      value.is_live = 1
    }
    value.is_over = progress?.isOver ?? true ? 1 : 0
    target.write(value, at: 0)
  }
}

/// See roost.h.
@c @implementation public func roost_engine_prefetch_end(_ handle: roost_engine, _ prefetch: UInt64) -> roost_status {
  Failure.caught { () throws(RoostError) in
    try HandleTable.shared.engine(handle).endPrefetch(PrefetchID(rawValue: prefetch))
  }
}

/// See roost.h.
@c @implementation public func roost_engine_tier_stats(
  _ handle: roost_engine, _ out: UnsafeMutablePointer<roost_tier_stats>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let target: Arguments.OutArray<roost_tier_stats> = try Arguments.outArray(out, capacity: 1, "out")
    let statistics = try HandleTable.shared.engine(handle).statistics.tier
    target.write(statistics.map(roost_tier_stats.init) ?? roost_tier_stats(), at: 0)
  }
}

extension roost_tier_stats {
  fileprivate init(_ tier: TierStatistics) {
    self.init()
    is_present = 1
    is_ready = tier.isReady ? 1 : 0
    prefetches = UInt64(tier.prefetches)
    recomputes = UInt64(tier.recomputes)
    promotions = UInt64(tier.promotionsBegun)
    promoted = UInt64(tier.promoted)
    promoted_bytes = UInt64(tier.promotedBytes)
    missing = UInt64(tier.promotionsMissing)
    corrupt = UInt64(tier.promotionsCorrupt)
    failed = UInt64(tier.promotionsFailed)
    refused = UInt64(tier.promotionsRefused)
    promoting = UInt64(tier.promotionsInFlight)
    offered = UInt64(tier.offered - tier.demotionsRefused)
    not_worth = UInt64(tier.notWorthAWrite + tier.demotionsRefused)
    demoted = UInt64(tier.demoted)
    demoted_bytes = UInt64(tier.demotedBytes)
    known = UInt64(tier.demotionsKnown)
    dropped = UInt64(tier.demotionsDropped)
    late = UInt64(tier.demotionsLate)
    write_failed = UInt64(tier.demotionsFailed)
    queued = UInt64(tier.demotionsQueued)
    requests = UInt64(tier.requests)
    pages = UInt64(tier.usage.pageCount)
    page_bytes = UInt64(tier.usage.pageBytes)
    capacity_bytes = UInt64(tier.usage.capacityBytes)
    occupied_bytes = UInt64(tier.usage.occupiedBytes)
    evicted = UInt64(tier.usage.counters.evictedCount)
    quarantined = UInt64(tier.usage.quarantinedCount)
    bytes_per_second = tier.bytesPerSecond
    capacity_writes_per_day = tier.capacityWritesPerDay
  }
}
