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
    let call = try BeginCall(handle, request, keys, outLease)
    defer { call.end() }
    try call.grant(outGrants, StoreGrant.abi) { (keys, grants) throws(RoostError) in
      try call.engine.beginStore(
        call.id, keys, group: call.reader.group, owner: call.request.owner, outputTokens: outputTokens(call.request),
        into: grants)
    }
  }
}

/// See roost.h.
@c @implementation public func roost_engine_begin_load(
  _ handle: roost_engine, _ request: UnsafePointer<roost_request>?, _ keys: UnsafePointer<roost_keys>?,
  _ outGrants: UnsafeMutablePointer<roost_grant>?, _ outLease: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let call = try BeginCall(handle, request, keys, outLease)
    defer { call.end() }
    try call.grant(outGrants, LoadGrant.abi) { (keys, grants) throws(RoostError) in
      try call.engine.beginLoad(call.id, keys, owner: call.request.owner, into: grants)
    }
  }
}

/// What the two calls that begin a lease have in common: a request with keys, and a grant for each key.
private struct BeginCall {
  let engine: Engine
  let request: roost_request
  let id: RequestID
  let reader: KeyReader
  private let outLease: UnsafeMutablePointer<UInt64>

  init(
    _ handle: roost_engine, _ request: UnsafePointer<roost_request>?, _ keys: UnsafePointer<roost_keys>?,
    _ outLease: UnsafeMutablePointer<UInt64>?
  ) throws(RoostError) {
    self.outLease = try Arguments.required(outLease, "out_lease")
    engine = try HandleTable.shared.engine(handle)
    self.request = try Arguments.structure(request, "request")
    id = try RequestID.checked(self.request.request)
    reader = try KeyReader(keys, engine)
  }

  func end() { reader.free() }

  /// Calls `begin`, unless there are no keys, and writes what it grants as `abi` says it.
  func grant<Grant>(
    _ outGrants: UnsafeMutablePointer<roost_grant>?, _ abi: (Grant) -> roost_grant,
    _ begin: (UnsafeBufferPointer<Key>, UnsafeMutableBufferPointer<Grant>) throws(RoostError) -> LeaseID?
  ) throws(RoostError) {
    guard reader.keys.count > 0 else { return outLease.pointee = 0 }
    let outGrants = try Arguments.required(outGrants, "out_grants")
    let grants = UnsafeMutableBufferPointer<Grant>.allocate(capacity: reader.keys.count)
    defer { grants.deallocate() }
    let lease = try begin(UnsafeBufferPointer(reader.keys), grants)
    for index in grants.indices { outGrants[index] = abi(grants[index]) }
    outLease.pointee = lease?.rawValue ?? 0
  }
}

extension StoreGrant {
  fileprivate static func abi(_ grant: StoreGrant) -> roost_grant {
    roost_grant(slot: grant.slot.rawValue, generation: grant.generation, outcome: UInt32(grant.outcome.rawValue))
  }
}

extension LoadGrant {
  fileprivate static func abi(_ grant: LoadGrant) -> roost_grant {
    roost_grant(slot: grant.slot.rawValue, generation: grant.generation, outcome: UInt32(grant.outcome.rawValue))
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
