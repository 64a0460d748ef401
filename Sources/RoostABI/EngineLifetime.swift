import CRoostABI
import RoostEngine
import RoostPrimitives

// See roost.h, which says what every function promises.

/// See roost.h.
@c @implementation public func roost_engine_open(
  _ config: UnsafePointer<CChar>?, _ configBytes: Int, _ outEngine: UnsafeMutablePointer<roost_engine>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outEngine = try Arguments.required(outEngine, "out_engine")
    let text = try Arguments.text(config, byteCount: configBytes, "config")
    let engine = try Engine.open(try ConfigurationReader.read(text))
    do throws(RoostError) {
      outEngine.pointee = try HandleTable.shared.add(engine, .engine)
    } catch {
      engine.close(until: .after(seconds: 0))
      throw error
    }
  }
}

/// See roost.h.
@c @implementation public func roost_engine_close(
  _ handle: roost_engine, _ timeout: Double, _ outLeaked: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outLeaked = try Arguments.optional(outLeaked, "out_leaked")
    // The kind is part of the handle and was checked.
    let engine = unsafeDowncast(try HandleTable.shared.remove(handle, .engine), to: Engine.self)
    let leaks = engine.close(until: Arguments.deadline(timeout))
    outLeaked?.pointee = UInt64(leaks.count)
  }
}

/// See roost.h.
@c @implementation public func roost_engine_address(
  _ handle: roost_engine, _ outText: UnsafeMutablePointer<CChar>?, _ textBytes: Int,
  _ outBytes: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let engine = try HandleTable.shared.engine(handle)
    var address = ""
    if let pool = engine.pool, pool.configuration.acceptsAttachments { address = "\(pool.address)" }
    try Arguments.answer(address, outText, textBytes, outBytes)
  }
}

/// See roost.h.
@c @implementation public func roost_engine_wait_ready(
  _ handle: roost_engine, _ timeout: Double, _ outReady: UnsafeMutablePointer<Int32>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outReady = try Arguments.required(outReady, "out_ready")
    let engine = try HandleTable.shared.engine(handle)
    outReady.pointee = engine.waitUntilCommitted(until: Arguments.deadline(timeout)) ? 1 : 0
  }
}

/// See roost.h.
@c @implementation public func roost_engine_slot_count(
  _ handle: roost_engine, _ group: UInt32, _ outCount: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outCount = try Arguments.required(outCount, "out_count")
    let engine = try HandleTable.shared.engine(handle)
    guard engine.configuration.groups.indices.contains(Int(group)) else {
      throw RoostError(.invalidInput, "there is no group \(group); the engine has \(engine.configuration.groups.count)")
    }
    outCount.pointee = UInt64(engine.slotCount(group: Int(group)))
  }
}

/// See roost.h.
@c @implementation public func roost_engine_intern(
  _ handle: roost_engine, _ fields: UnsafePointer<roost_field>?, _ fieldCount: Int,
  _ outIdentity: UnsafeMutablePointer<UInt32>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outIdentity = try Arguments.required(outIdentity, "out_identity")
    let engine = try HandleTable.shared.engine(handle)
    outIdentity.pointee = try engine.intern(try IdentityReader.read(fields, count: fieldCount)).rawValue
  }
}

/// See roost.h.
@c @implementation public func roost_engine_forget(
  _ handle: roost_engine, _ fields: UnsafePointer<roost_field>?, _ fieldCount: Int,
  _ outPages: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outPages = try Arguments.optional(outPages, "out_pages")
    let engine = try HandleTable.shared.engine(handle)
    let identity = try engine.intern(try IdentityReader.read(fields, count: fieldCount))
    outPages?.pointee = UInt64(engine.forget(identity))
  }
}

/// See roost.h.
@c @implementation public func roost_engine_reset(_ handle: roost_engine, _ timeout: Double) -> roost_status {
  Failure.caught { () throws(RoostError) in
    try HandleTable.shared.engine(handle).reset(until: Arguments.deadline(timeout))
  }
}
