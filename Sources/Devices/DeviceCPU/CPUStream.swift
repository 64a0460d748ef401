import RoostDevice
import RoostPrimitives

/// A stream of the CPU device: an own thread that works operations off in order. The thread starts with the first
/// operation; when the stream goes, it finishes what is queued and ends.
final class CPUStream: DeviceStream {
  let priority: StreamPriority
  private let executor: StreamExecutor

  init(priority: StreamPriority, executor: StreamExecutor) {
    self.priority = priority
    self.executor = executor
  }

  deinit { executor.close() }

  func copy(_ piece: CopyPiece, _ direction: CopyDirection) throws(RoostError) {
    try executor.submit(.copyOne(piece))
  }

  func copy(_ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection) throws(RoostError) {
    guard !pieces.isEmpty else { return }
    try executor.submit(.copyMany(PieceArray(copying: pieces)))
  }

  func copy(_ rows: StridedCopy, _ direction: CopyDirection) throws(RoostError) {
    try executor.submit(.copyRows(rows))
  }

  func record(_ event: any DeviceEvent) throws(RoostError) {
    let event = try own(event)
    let recording = Recording(on: executor)
    try executor.submit(.record(recording))
    event.record(recording)
  }

  func wait(for event: any DeviceEvent) throws(RoostError) {
    guard let recording = try own(event).lastRecording, recording.completedAt == nil else { return }
    try executor.submit(.wait(recording))
  }

  func enqueue(_ action: @escaping @Sendable () -> Void) throws(RoostError) { try executor.submit(.call(action)) }

  func submit(_ work: GroupWork) throws(RoostError) { try executor.submit(.work(work)) }

  func query() -> StreamStatus { executor.status }

  func wait(until deadline: Deadline) throws(RoostError) { try executor.wait(until: deadline) }

  func reset() { executor.reset() }

  private func own(_ event: any DeviceEvent) throws(RoostError) -> CPUEvent {
    guard let event = event as? CPUEvent else {
      throw RoostError(.invalidInput, "the event belongs to another kind of device")
    }
    return event
  }
}
