import CRoostABI
import RoostBuiltins
import RoostEngine
import RoostPool
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_worker_attach(
  _ address: UnsafePointer<CChar>?, _ device: UnsafePointer<CChar>?, _ timeout: Double,
  _ outWorker: UnsafeMutablePointer<roost_worker>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outWorker = try Arguments.required(outWorker, "out_worker")
    let address = try PoolAddress(parsing: try Arguments.text(address, "address"))
    let uri = device == nil ? "cpu" : try Arguments.text(device, "device")
    let device = try Builtins.devices().open(uri)
    let worker = try EmbeddedWorker.attach(to: address, device: device, until: Arguments.deadline(timeout))
    outWorker.pointee = try HandleTable.shared.add(worker, .worker)
  }
}

/// See roost.h.
@c @implementation public func roost_worker_close(
  _ handle: roost_worker, _ timeout: Double, _ outEnded: UnsafeMutablePointer<Int32>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outEnded = try Arguments.optional(outEnded, "out_ended")
    // The kind is part of the handle and was checked.
    let worker = unsafeDowncast(try HandleTable.shared.remove(handle, .worker), to: EmbeddedWorker.self)
    let hasEnded = worker.close(until: Arguments.deadline(timeout))
    outEnded?.pointee = hasEnded ? 1 : 0
  }
}

/// See roost.h.
@c @implementation public func roost_worker_attachment(
  _ handle: roost_worker, _ outNumber: UnsafeMutablePointer<UInt32>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outNumber = try Arguments.required(outNumber, "out_number")
    outNumber.pointee = try HandleTable.shared.worker(handle).attachment.index
  }
}

/// See roost.h.
@c @implementation public func roost_worker_page_bytes(
  _ handle: roost_worker, _ group: UInt32, _ outBytes: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outBytes = try Arguments.required(outBytes, "out_bytes")
    outBytes.pointee = UInt64(try HandleTable.shared.worker(handle).pageByteCount(group: Int(group)))
  }
}

/// See roost.h.
@c @implementation public func roost_worker_register(
  _ handle: roost_worker, _ pages: UnsafePointer<roost_pages>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let worker = try HandleTable.shared.worker(handle)
    let pages = try Arguments.structure(pages, "pages")
    guard pages.shard < pages.shards, pages.shards <= 64 else {
      throw RoostError(
        .invalidInput, "there is no shard \(pages.shard) of \(pages.shards); a page has 1 to 64 shards")
    }
    let byteCount = try worker.pageByteCount(group: Int(pages.group))
    let template = try PagesReader.template(pages, slotByteCount: byteCount, worker.device)
    try worker.register(template, group: Int(pages.group), shard: Int(pages.shard))
  }
}

/// See roost.h.
@c @implementation public func roost_worker_divide(
  _ handle: roost_worker, _ group: UInt32, _ bounds: UnsafePointer<UInt64>?, _ count: Int
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let worker = try HandleTable.shared.worker(handle)
    guard 0...Limits.rangeBoundsMax ~= count else { throw Arguments.tooMany("bounds", count, Limits.rangeBoundsMax) }
    let cuts = count == 0 ? nil : try Arguments.required(bounds, "bounds")
    try worker.divide(group: Int(group), at: (0..<count).map { Int(clamping: cuts?[$0] ?? 0) })
  }
}

/// See roost.h.
@c @implementation public func roost_worker_follow(
  _ handle: roost_worker, _ stream: UInt64, _ follows: Int32
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    try HandleTable.shared.worker(handle).follow(computeStream: follows == 0 ? nil : UInt(stream))
  }
}
