import CRoostABI
import RoostBlocks
import RoostEngine
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_engine_begin_store(
  _ handle: roost_engine, _ request: UnsafePointer<roost_request>?, _ keys: UnsafePointer<roost_keys>?,
  _ outGrants: UnsafeMutablePointer<roost_grant>?, _ outLease: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outLease = try Arguments.required(outLease, "out_lease")
    let engine = try HandleTable.shared.engine(handle)
    let request = try Arguments.structure(request, "request")
    let id = try RequestID.checked(request.request)
    let reader = try KeyReader(keys, engine)
    defer { reader.free() }
    guard reader.keys.count > 0 else { return outLease.pointee = 0 }
    let outGrants = try Arguments.required(outGrants, "out_grants")
    let grants = UnsafeMutableBufferPointer<StoreGrant>.allocate(capacity: reader.keys.count)
    defer { grants.deallocate() }
    let lease = try engine.beginStore(
      id, UnsafeBufferPointer(reader.keys), group: reader.group, owner: request.owner,
      outputTokens: outputTokens(request), into: grants)
    for index in grants.indices {
      let grant = grants[index]
      outGrants[index] = roost_grant(
        slot: grant.slot.rawValue, generation: grant.generation, outcome: UInt32(grant.outcome.rawValue))
    }
    outLease.pointee = lease?.rawValue ?? 0
  }
}

/// The length of the answer, if the caller knows it.
private func outputTokens(_ request: roost_request) -> Int? {
  request.output_tokens >= 0 ? Int(request.output_tokens) : nil
}

/// See roost.h.
@c @implementation public func roost_engine_touch(
  _ handle: roost_engine, _ request: UnsafePointer<roost_request>?, _ keys: UnsafePointer<roost_keys>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let engine = try HandleTable.shared.engine(handle)
    let request = try Arguments.structure(request, "request")
    let id = try RequestID.checked(request.request)
    let reader = try KeyReader(keys, engine)
    defer { reader.free() }
    engine.touch(
      id, UnsafeBufferPointer(reader.keys), group: reader.group, outputTokens: outputTokens(request))
  }
}

/// See roost.h.
@c @implementation public func roost_engine_begin_load(
  _ handle: roost_engine, _ request: UnsafePointer<roost_request>?, _ keys: UnsafePointer<roost_keys>?,
  _ outGrants: UnsafeMutablePointer<roost_grant>?, _ outLease: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outLease = try Arguments.required(outLease, "out_lease")
    let engine = try HandleTable.shared.engine(handle)
    let request = try Arguments.structure(request, "request")
    let id = try RequestID.checked(request.request)
    let reader = try KeyReader(keys, engine)
    defer { reader.free() }
    guard reader.keys.count > 0 else { return outLease.pointee = 0 }
    let outGrants = try Arguments.required(outGrants, "out_grants")
    let grants = UnsafeMutableBufferPointer<LoadGrant>.allocate(capacity: reader.keys.count)
    defer { grants.deallocate() }
    let lease = try engine.beginLoad(id, UnsafeBufferPointer(reader.keys), owner: request.owner, into: grants)
    for index in grants.indices {
      let grant = grants[index]
      outGrants[index] = roost_grant(
        slot: grant.slot.rawValue, generation: grant.generation, outcome: UInt32(grant.outcome.rawValue))
    }
    outLease.pointee = lease?.rawValue ?? 0
  }
}

/// See roost.h.
@c @implementation public func roost_engine_hand_out(
  _ handle: roost_engine, _ lease: UInt64, _ shards: UInt32
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    try HandleTable.shared.engine(handle).handOut(LeaseID(rawValue: lease), shardCount: Int(shards))
  }
}

/// See roost.h.
@c @implementation public func roost_engine_commit(_ handle: roost_engine, _ lease: UInt64) -> roost_status {
  Failure.caught { () throws(RoostError) in
    _ = try HandleTable.shared.engine(handle).commit(LeaseID(rawValue: lease))
  }
}

/// See roost.h.
@c @implementation public func roost_engine_abort(_ handle: roost_engine, _ lease: UInt64) -> roost_status {
  Failure.caught { () throws(RoostError) in
    _ = try HandleTable.shared.engine(handle).abort(LeaseID(rawValue: lease))
  }
}

/// See roost.h.
@c @implementation public func roost_engine_end(_ handle: roost_engine, _ lease: UInt64) -> roost_status {
  Failure.caught { () throws(RoostError) in
    _ = try HandleTable.shared.engine(handle).end(LeaseID(rawValue: lease))
  }
}

/// See roost.h.
@c @implementation public func roost_engine_reclaim(
  _ handle: roost_engine, _ request: UInt64, _ outLeases: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outLeases = try Arguments.optional(outLeases, "out_leases")
    let count = try HandleTable.shared.engine(handle).reclaim(try RequestID.checked(request))
    outLeases?.pointee = UInt64(count)
  }
}
