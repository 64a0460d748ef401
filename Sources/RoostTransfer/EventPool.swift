import RoostDevice
import RoostPrimitives

/// Events to use again. Not thread-safe.
struct EventPool {
  private var free: [any DeviceEvent] = []

  /// An event that nobody else holds.
  mutating func take(from device: any Device) throws(RoostError) -> any DeviceEvent {
    if let event = free.popLast() { return event }
    return try device.makeEvent()
  }

  /// Takes back an event that nobody else holds and whose recording has completed.
  mutating func give(_ event: any DeviceEvent) { free.append(event) }
}
