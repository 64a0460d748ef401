import RoostDevice
import RoostPrimitives

/// A stream of the mock. When it goes, its operations still happen, in the calls of whoever uses the device.
final class MockStream: DeviceStream {
  let priority: StreamPriority
  let machine: MockMachine
  let lane: Int
  private let device: DeviceDescription

  init(priority: StreamPriority, lane: Int, machine: MockMachine, device: DeviceDescription) {
    self.priority = priority
    self.lane = lane
    self.machine = machine
    self.device = device
  }

  deinit { machine.state.withLock { $0.schedule.close(lane) } }

  func copy(_ piece: CopyPiece, _ direction: CopyDirection) throws(RoostError) { try submit([piece], direction) }

  func copy(_ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection) throws(RoostError) {
    try submit(Array(pieces), direction)
  }

  func copy(_ rows: StridedCopy, _ direction: CopyDirection) throws(RoostError) {
    guard device.capabilities.contains(.stridedCopy) else { throw missing("strided-copy") }
    guard let pieces = MockStream.pieces(of: rows) else {
      return try submit([], direction, RoostError(.invalidInput, "rows overlap or reach beyond the address space"))
    }
    try submit(pieces, direction)
  }

  func record(_ event: any DeviceEvent) throws(RoostError) {
    let event = try own(event)
    let recording = MockRecording()
    try machine.submit(.record(recording), to: lane) { event.record(recording) }
  }

  func wait(for event: any DeviceEvent) throws(RoostError) {
    guard let recording = try own(event).lastRecording else { return }
    try machine.submit(.wait(recording), to: lane)
  }

  func enqueue(_ action: @escaping @Sendable () -> Void) throws(RoostError) {
    guard device.capabilities.contains(.hostCallbacks) else { throw missing("host-callbacks") }
    try machine.submit(.call(action), to: lane)
  }

  func query() -> StreamStatus {
    machine.breathe()
    return machine.state.withLock { $0.schedule.status(of: lane) }
  }

  func wait(until deadline: Deadline) throws(RoostError) {
    let wanted = machine.state.withLock { $0.schedule.submittedCount(of: lane) }
    guard machine.wait(until: deadline, { $0.schedule.endedCount(of: lane) >= wanted }) else {
      throw RoostError(.timedOut, "the stream was still busy when the deadline passed")
    }
    if case .failed(let error) = machine.state.withLock({ $0.schedule.status(of: lane) }) { throw error }
  }

  func reset() { machine.state.withLock { $0.schedule.reset(lane) } }

  private func submit(
    _ pieces: [CopyPiece], _ direction: CopyDirection, _ error: RoostError? = nil
  ) throws(RoostError) {
    let copy = machine.state.withLock { state in
      MockCopy(pieces, direction, error: error, using: &state.schedule.random)
    }
    try machine.submit(.copy(copy), to: lane)
  }

  private func own(_ event: any DeviceEvent) throws(RoostError) -> MockEvent {
    guard let event = event as? MockEvent, event.machine === machine else {
      throw RoostError(.invalidInput, "the event belongs to another device")
    }
    return event
  }

  private func missing(_ capability: String) -> RoostError {
    RoostError(.unsupported, "\(device.uri) was made without \(capability)")
  }

  /// Every row as a piece; nil for rows that make no sense.
  private static func pieces(of rows: StridedCopy) -> [CopyPiece]? {
    guard rows.rowByteCount >= 0, rows.rowCount >= 0 else { return nil }
    guard rows.rowByteCount > 0, rows.rowCount > 0 else { return [] }
    guard rows.sourcePitch >= rows.rowByteCount, rows.targetPitch >= rows.rowByteCount,
      rows.rowCount <= Limits.rowCountMax
    else { return nil }
    return (0..<UInt(rows.rowCount)).map { row in
      CopyPiece(
        source: rows.source &+ row &* UInt(rows.sourcePitch), target: rows.target &+ row &* UInt(rows.targetPitch),
        byteCount: UInt(rows.rowByteCount))
    }
  }
}
