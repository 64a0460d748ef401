import CRoostABI
import RoostDevice
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_stream_open(
  _ device: roost_device, _ priority: UInt32, _ outStream: UnsafeMutablePointer<roost_stream>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outStream = try Arguments.required(outStream, "out_stream")
    guard let priority = StreamPriority(rawValue: Int(priority)) else {
      throw RoostError(.invalidInput, "the priority is 0 (normal) or 1 (high), not \(priority)")
    }
    let stream = try OpenStream(of: try HandleTable.shared.device(device), priority: priority)
    outStream.pointee = try HandleTable.shared.add(stream, .stream)
  }
}

/// See roost.h.
@c @implementation public func roost_stream_close(
  _ handle: roost_stream, _ timeout: Double, _ outEnded: UnsafeMutablePointer<Int32>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outEnded = try Arguments.optional(outEnded, "out_ended")
    // The kind is part of the handle and was checked.
    let stream = unsafeDowncast(try HandleTable.shared.remove(handle, .stream), to: OpenStream.self)
    var hasEnded = true
    do throws(RoostError) {
      try stream.stream.wait(until: Arguments.deadline(timeout))
    } catch {
      // A stream that failed has ended, too.
      hasEnded = error.code != .timedOut
    }
    stream.owner.release()
    outEnded?.pointee = hasEnded ? 1 : 0
  }
}

/// See roost.h.
@c @implementation public func roost_stream_query(
  _ handle: roost_stream, _ outIdle: UnsafeMutablePointer<Int32>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outIdle = try Arguments.required(outIdle, "out_idle")
    let stream = try HandleTable.shared.stream(handle)
    switch stream.stream.query() {
    case .idle:
      stream.owner.release()
      outIdle.pointee = 1
    case .busy: outIdle.pointee = 0
    case .failed(let error): throw error
    }
  }
}

/// See roost.h.
@c @implementation public func roost_stream_wait(_ handle: roost_stream, _ timeout: Double) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let stream = try HandleTable.shared.stream(handle)
    defer { stream.owner.release() }
    try stream.stream.wait(until: Arguments.deadline(timeout))
  }
}

/// See roost.h.
@c @implementation public func roost_stream_reset(_ handle: roost_stream) -> roost_status {
  Failure.caught { () throws(RoostError) in try HandleTable.shared.stream(handle).stream.reset() }
}

/// See roost.h.
@c @implementation public func roost_stream_record(_ handle: roost_stream, _ event: roost_device_event) -> roost_status
{
  Failure.caught { () throws(RoostError) in
    let stream = try HandleTable.shared.stream(handle)
    try stream.stream.record(try HandleTable.shared.event(event).event)
  }
}

/// See roost.h.
@c @implementation public func roost_stream_follow(_ handle: roost_stream, _ event: roost_device_event) -> roost_status
{
  Failure.caught { () throws(RoostError) in
    let stream = try HandleTable.shared.stream(handle)
    try stream.stream.wait(for: try HandleTable.shared.event(event).event)
  }
}
