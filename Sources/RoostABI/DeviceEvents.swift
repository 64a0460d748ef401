import CRoostABI
import RoostDevice
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_device_event_open(
  _ device: roost_device, _ outEvent: UnsafeMutablePointer<roost_device_event>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outEvent = try Arguments.required(outEvent, "out_event")
    let event = try OpenEvent(of: try HandleTable.shared.device(device))
    outEvent.pointee = try HandleTable.shared.add(event, .event)
  }
}

/// See roost.h.
@c @implementation public func roost_device_event_close(_ handle: roost_device_event) -> roost_status {
  Failure.caught { () throws(RoostError) in _ = try HandleTable.shared.remove(handle, .event) }
}

/// See roost.h.
@c @implementation public func roost_device_event_query(
  _ handle: roost_device_event, _ outComplete: UnsafeMutablePointer<Int32>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outComplete = try Arguments.required(outComplete, "out_complete")
    outComplete.pointee = try HandleTable.shared.event(handle).event.isComplete ? 1 : 0
  }
}

/// See roost.h.
@c @implementation public func roost_device_event_wait(
  _ handle: roost_device_event, _ timeout: Double
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let event = try HandleTable.shared.event(handle)
    try event.event.wait(until: Arguments.deadline(timeout))
    event.owner.release()
  }
}

/// See roost.h.
@c @implementation public func roost_device_event_seconds(
  _ start: roost_device_event, _ end: roost_device_event, _ outSeconds: UnsafeMutablePointer<Double>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outSeconds = try Arguments.required(outSeconds, "out_seconds")
    let start = try HandleTable.shared.event(start).event
    outSeconds.pointee = try HandleTable.shared.event(end).event.secondsSince(start)
  }
}
