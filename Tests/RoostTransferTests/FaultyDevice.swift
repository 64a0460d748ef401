import Foundation
import RoostDevice
import RoostPrimitives

/// A device around another one that does wrong what a test asks for: fails copies, refuses calls, holds streams up.
final class FaultyDevice: Device {
  struct Faults {
    /// Copy calls that still succeed; then one fails the stream.
    var copiesBeforeFailure: Int?
    /// Copy calls that still succeed; then all throw `timedOut`, as with a stream that has no room.
    var copiesBeforeRefusal: Int?
    /// Records that still succeed; then all throw.
    var recordsBeforeRefusal: Int?
    /// Events that may still be made.
    var eventCount = Int.max
  }

  let inner: any Device
  let faults = Locked(Faults())
  let log = Locked<[Int]>([])

  init(_ inner: any Device) { self.inner = inner }

  /// The number of pieces of every copy call, in order.
  var copyCalls: [Int] { log.withLock { $0 } }

  var description: DeviceDescription { inner.description }
  var freeMemoryBytes: Int { inner.freeMemoryBytes }
  func allocate(byteCount: Int) throws(RoostError) -> DeviceMemory { try inner.allocate(byteCount: byteCount) }
  func free(_ memory: DeviceMemory) throws(RoostError) { try inner.free(memory) }
  func allocateHost(byteCount: Int) throws(RoostError) -> HostMemory { try inner.allocateHost(byteCount: byteCount) }
  func freeHost(_ memory: HostMemory) throws(RoostError) { try inner.freeHost(memory) }
  func registerHost(_ memory: HostMemory) throws(RoostError) { try inner.registerHost(memory) }
  func unregisterHost(_ memory: HostMemory) throws(RoostError) { try inner.unregisterHost(memory) }
  func makeStream(priority: StreamPriority) throws(RoostError) -> any DeviceStream {
    FaultyStream(try inner.makeStream(priority: priority), self)
  }
  func makeEvent() throws(RoostError) -> any DeviceEvent {
    let isAllowed = faults.withLock { faults in
      faults.eventCount -= 1
      return faults.eventCount >= 0
    }
    guard isAllowed else { throw RoostError(.outOfResources, "no events left") }
    return try inner.makeEvent()
  }
  func synchronize(until deadline: Deadline) throws(RoostError) { try inner.synchronize(until: deadline) }
}

/// A stream of a `FaultyDevice`.
final class FaultyStream: DeviceStream {
  let inner: any DeviceStream
  let device: FaultyDevice
  var priority: StreamPriority { inner.priority }

  init(_ inner: any DeviceStream, _ device: FaultyDevice) {
    self.inner = inner
    self.device = device
  }

  func copy(_ piece: CopyPiece, _ direction: CopyDirection) throws(RoostError) { try inner.copy(piece, direction) }

  func copy(_ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection) throws(RoostError) {
    let (refuses, fails) = device.faults.withLock { faults -> (Bool, Bool) in
      if let left = faults.copiesBeforeRefusal {
        if left == 0 { return (true, false) }
        faults.copiesBeforeRefusal = left - 1
      }
      guard let left = faults.copiesBeforeFailure else { return (false, false) }
      faults.copiesBeforeFailure = left == 0 ? nil : left - 1
      return (false, left == 0)
    }
    if refuses { throw RoostError(.timedOut, "the stream has no room") }
    device.log.withLock { $0.append(pieces.count) }
    if fails {
      try inner.copy(CopyPiece(source: 1, target: 1, byteCount: 1), direction)
      return
    }
    try inner.copy(pieces, direction)
  }

  func copy(_ rows: StridedCopy, _ direction: CopyDirection) throws(RoostError) { try inner.copy(rows, direction) }

  func record(_ event: any DeviceEvent) throws(RoostError) {
    let refuses = device.faults.withLock { faults -> Bool in
      guard let left = faults.recordsBeforeRefusal else { return false }
      faults.recordsBeforeRefusal = max(0, left - 1)
      return left == 0
    }
    if refuses { throw RoostError(.timedOut, "the stream has no room") }
    try inner.record(event)
  }

  func wait(for event: any DeviceEvent) throws(RoostError) { try inner.wait(for: event) }
  func enqueue(_ action: @escaping @Sendable () -> Void) throws(RoostError) { try inner.enqueue(action) }
  func query() -> StreamStatus { inner.query() }
  func wait(until deadline: Deadline) throws(RoostError) { try inner.wait(until: deadline) }
  func reset() { inner.reset() }
}

/// A stream that does nothing until it is opened, with an event that waits for it: a fence.
final class Fence: Sendable {
  let event: any DeviceEvent
  private let stream: any DeviceStream
  private let semaphore = DispatchSemaphore(value: 0)

  init(on device: any Device) throws {
    stream = try device.makeStream(priority: .normal)
    event = try device.makeEvent()
    try stream.enqueue { [semaphore] in _ = semaphore.wait(timeout: .now() + 30) }
    try stream.record(event)
  }

  func open() { semaphore.signal() }
}
