import Foundation
import RoostDevice
import RoostPrimitives

/// A device around another one whose loads stop before a certain copy until a test lets them go on.
final class GatedDevice: Device {
  let inner: any Device
  private let gate: any DeviceEvent
  private let keeper: any DeviceStream
  private let semaphore = DispatchSemaphore(value: 0)
  /// Copy calls of loads before the gate, and the one that fails, if any.
  private let plan: Locked<(before: Int, failing: Int?)>

  init(_ inner: any Device, before: Int, failing: Int? = nil) throws {
    self.inner = inner
    plan = Locked((before, failing))
    keeper = try inner.makeStream(priority: .normal)
    gate = try inner.makeEvent()
    try keeper.enqueue { [semaphore] in _ = semaphore.wait(timeout: .now() + 30) }
    try keeper.record(gate)
  }

  func open() { semaphore.signal() }

  var description: DeviceDescription { inner.description }
  var freeMemoryBytes: Int { inner.freeMemoryBytes }
  func allocate(byteCount: Int) throws(RoostError) -> DeviceMemory { try inner.allocate(byteCount: byteCount) }
  func free(_ memory: DeviceMemory) throws(RoostError) { try inner.free(memory) }
  func allocateHost(byteCount: Int) throws(RoostError) -> HostMemory { try inner.allocateHost(byteCount: byteCount) }
  func freeHost(_ memory: HostMemory) throws(RoostError) { try inner.freeHost(memory) }
  func registerHost(_ memory: HostMemory) throws(RoostError) { try inner.registerHost(memory) }
  func unregisterHost(_ memory: HostMemory) throws(RoostError) { try inner.unregisterHost(memory) }
  func makeStream(priority: StreamPriority) throws(RoostError) -> any DeviceStream {
    let stream = try inner.makeStream(priority: priority)
    return priority == .high ? GatedStream(stream, self) : stream
  }
  func makeEvent() throws(RoostError) -> any DeviceEvent { try inner.makeEvent() }
  func synchronize(until deadline: Deadline) throws(RoostError) { try inner.synchronize(until: deadline) }

  private final class GatedStream: DeviceStream {
    let inner: any DeviceStream
    let device: GatedDevice
    var priority: StreamPriority { inner.priority }

    init(_ inner: any DeviceStream, _ device: GatedDevice) {
      self.inner = inner
      self.device = device
    }

    func copy(_ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection) throws(RoostError) {
      let (isGated, fails) = device.plan.withLock { plan in
        plan.before -= 1
        plan.failing = plan.failing.map { $0 - 1 }
        return (plan.before == -1, plan.failing == -1)
      }
      if isGated { try inner.wait(for: device.gate) }
      if fails { return try inner.copy(CopyPiece(source: 1, target: 1, byteCount: 1), direction) }
      try inner.copy(pieces, direction)
    }

    func copy(_ piece: CopyPiece, _ direction: CopyDirection) throws(RoostError) { try inner.copy(piece, direction) }
    func copy(_ rows: StridedCopy, _ direction: CopyDirection) throws(RoostError) { try inner.copy(rows, direction) }
    func record(_ event: any DeviceEvent) throws(RoostError) { try inner.record(event) }
    func wait(for event: any DeviceEvent) throws(RoostError) { try inner.wait(for: event) }
    func enqueue(_ action: @escaping @Sendable () -> Void) throws(RoostError) { try inner.enqueue(action) }
    func query() -> StreamStatus { inner.query() }
    func wait(until deadline: Deadline) throws(RoostError) { try inner.wait(until: deadline) }
    func reset() { inner.reset() }
  }
}
