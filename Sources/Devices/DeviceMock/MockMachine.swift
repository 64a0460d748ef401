import RoostDevice
import RoostPrimitives

/// What the mock's lock protects.
struct MockState: ~Copyable {
  var schedule: MockSchedule
  var faults: MockFaultPlan
  let memory: MockMemory
  let turnsPerCallMax: Int

  /// Counts a call that allocates, and throws what goes wrong in it.
  mutating func allow(_ what: String) throws(RoostError) {
    try check()
    switch faults.visit(.allocation) {
    case .outOfResources: throw RoostError(.outOfResources, "the mock has no \(what) left, as its configuration wants")
    case .lostDevice: throw lose()
    default: break
    }
  }

  func check() throws(RoostError) {
    if let loss = schedule.loss { throw loss }
  }

  /// The device is gone from now on.
  mutating func lose() -> RoostError {
    let error = RoostError(.lost, "the mock is lost, as its configuration wants")
    schedule.lose(error)
    return schedule.loss ?? error
  }
}

/// The driver around the schedule. There is no thread: streams advance in the calls of whoever submits, asks or waits, so
/// that one thread's run is the same every time. Copies read and write at the last moment. Thread-safe.
final class MockMachine: Sendable {
  let state: Guarded<MockState>
  /// Rings when a turn was made.
  let bell = Doorbell()

  init(_ configuration: MockDeviceConfiguration) {
    state = Guarded(
      MockState(
        schedule: MockSchedule(seed: configuration.seed), faults: MockFaultPlan(configuration.faults),
        memory: MockMemory(configuration), turnsPerCallMax: configuration.turnsPerCallMax))
  }

  /// Makes one turn; false: no stream can go on.
  func step() -> Bool {
    let (isAny, call) = state.withLock { $0.turn() }
    if let call {
      call.action()
      state.withLock { $0.schedule.ended(call.lane) }
    }
    if isAny { bell.ring() }
    return isAny
  }

  /// What happens while somebody calls: some turns, or none.
  func breathe() {
    let turns = state.withLock { state in
      state.turnsPerCallMax > 0 ? Int.random(in: 0...state.turnsPerCallMax, using: &state.schedule.random) : 0
    }
    for _ in 0..<turns where !step() { return }
  }

  /// Makes turns until `isDone`; false if the deadline passed first.
  func wait(until deadline: Deadline, _ isDone: (borrowing MockState) -> Bool) -> Bool {
    while true {
      let rings = bell.ringCount
      if state.withLock({ isDone($0) }) { return true }
      if deadline.hasPassed() { return false }
      if step() { continue }
      // Another thread is in a host function, or a stream is held: somebody will ring.
      if !bell.wait(past: rings, spinNanoseconds: 0, until: deadline) { return state.withLock { isDone($0) } }
    }
  }

  /// Hands an operation to a stream, and lets the streams advance.
  ///
  /// - Parameter accepted: called once the stream has it, before anything happens to it.
  func submit(_ operation: MockOperation, to lane: Int, accepted: () -> Void = {}) throws(RoostError) {
    try state.withLock { state throws(RoostError) in
      try state.submit(operation, to: lane)
      accepted()
    }
    bell.ring()
    breathe()
  }
}

extension MockState {
  /// A host function to be called without the lock, for a stream.
  typealias Call = (lane: Int, action: @Sendable () -> Void)

  fileprivate mutating func submit(_ operation: MockOperation, to lane: Int) throws(RoostError) {
    try check()
    var site = MockSite.submission
    if case .record = operation { site = .recordSubmission }
    let fault = faults.visit(site)
    switch fault {
    case .refusal: throw RoostError(.timedOut, "the mock's stream takes nothing, as its configuration wants")
    case .lostDevice: throw lose()
    default: break
    }
    guard schedule.submit(operation, to: lane) else {
      throw RoostError(.timedOut, "the stream has \(Limits.queuedOperationCountMax) operations already")
    }
    if fault == .earlyCompletion, case .record(let recording) = operation { recording.complete(at: schedule.time) }
  }

  /// One stream's turn.
  fileprivate mutating func turn() -> (isAny: Bool, call: Call?) {
    guard let (lane, work) = schedule.next() else { return (false, nil) }
    switch work {
    case .pass: break
    case .call(let action): return (true, (lane, action))
    case .refuse(let error): schedule.failed(lane, error)
    case .record(let recording):
      let fault = faults.visit(.recording)
      if fault == .stall {
        schedule.stalled(lane)
        break
      }
      if fault == .lostDevice { _ = lose() }
      recording.complete(at: schedule.time)
      schedule.ended(lane)
    case .copy(let pieces, let direction): copy(pieces, direction, on: lane)
    }
    return (true, nil)
  }

  private mutating func copy(_ pieces: ArraySlice<CopyPiece>, _ direction: CopyDirection, on lane: Int) {
    let fault = faults.visit(.copying)
    switch fault {
    case .stall: schedule.stalled(lane)
    case .lostDevice, .failedCopy:
      // Half of the pieces are made, and the next is junk.
      _ = memory.copy(pieces.prefix(pieces.count / 2), direction)
      if let piece = pieces.dropFirst(pieces.count / 2).first {
        memory.spoil(piece, direction, byteCount: Int(clamping: piece.byteCount))
      }
      let error =
        fault == .lostDevice ? lose() : RoostError(.system, "a copy of the mock failed, as its configuration wants")
      schedule.failed(lane, error)
    default:
      if let error = memory.copy(pieces, direction) {
        schedule.failed(lane, error)
        return
      }
      if fault == .wrongByte, let piece = pieces.last { memory.spoil(piece, direction, byteCount: 1) }
      schedule.ended(lane)
    }
  }
}
