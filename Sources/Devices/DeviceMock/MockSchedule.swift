import RoostDevice
import RoostPrimitives

/// The streams, and whose turn it is. A pure state machine under a seed: it touches no memory and calls nobody.
///
/// Turns go to the stream of the highest rank that can go on; ranks are random and change now and then. So a stream may
/// be far ahead of the others, or be starved until somebody waits for it: every order that the contract allows comes
/// up, and the extreme ones often.
struct MockSchedule {
  /// What a turn consists of.
  enum Work {
    /// Copy these pieces, then `ended`, or `failed`.
    case copy(ArraySlice<CopyPiece>, CopyDirection)
    /// A copy that was wrong from the start: `failed` must follow.
    case refuse(RoostError)
    /// Complete it, then `ended`.
    case record(MockRecording)
    /// Call it without a lock, then `ended`.
    case call(@Sendable () -> Void)
    /// A wait that is over, or a copy that is skipped.
    case pass
  }

  /// A stream.
  private struct Lane {
    var operations: [MockOperation] = []
    /// The first of them that has not ended.
    var doneCount = 0
    /// Since the stream was made.
    var submittedCount = 0
    var endedCount = 0
    var rank: UInt64
    var failure: RoostError?
    /// Copies before this operation are skipped: they were submitted before a failure was forgotten.
    var skippedCount = 0
    var isClosed = false
    var isHeld = false
    /// A host function is running.
    var isCalling = false

    var isEmpty: Bool { doneCount == operations.count }

    func canGoOn(_ isLost: Bool) -> Bool {
      guard !isEmpty, !isCalling, isLost || !isHeld else { return false }
      if case .wait(let recording) = operations[doneCount] { return recording.isComplete }
      return true
    }

    mutating func finishFirst() {
      doneCount += 1
      endedCount += 1
      guard isEmpty || doneCount >= Limits.doneOperationCountMax else { return }
      operations.removeFirst(doneCount)
      skippedCount = max(0, skippedCount - doneCount)
      doneCount = 0
    }
  }

  private var lanes: [Lane] = []
  var random: SplitMix64
  private(set) var time: UInt64 = 1
  /// A fingerprint of all turns so far: which stream did what.
  private(set) var history: UInt64 = 0
  /// Nothing is ever copied again.
  private(set) var loss: RoostError?

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// Makes a stream; nil: there are too many.
  mutating func open() -> Int? {
    var lane = Lane(rank: random.next())
    if let free = lanes.firstIndex(where: { $0.isClosed && $0.isEmpty && !$0.isCalling }) {
      // Counts go on, for those who wait for all streams.
      lane.submittedCount = lanes[free].submittedCount
      lane.endedCount = lanes[free].endedCount
      lanes[free] = lane
      return free
    }
    guard lanes.count < Limits.streamCountMax else { return nil }
    lanes.append(lane)
    return lanes.count - 1
  }

  /// The stream's owner is gone; what was submitted still happens.
  mutating func close(_ number: Int) { lanes[number].isClosed = true }

  /// Adds an operation; false: the stream is full.
  mutating func submit(_ operation: MockOperation, to number: Int) -> Bool {
    guard lanes[number].operations.count - lanes[number].doneCount < Limits.queuedOperationCountMax else {
      return false
    }
    lanes[number].operations.append(operation)
    lanes[number].submittedCount += 1
    return true
  }

  func status(of number: Int) -> StreamStatus {
    if let failure = loss ?? lanes[number].failure { return .failed(failure) }
    return lanes[number].isEmpty ? .idle : .busy
  }

  /// Operations that were submitted to each stream so far.
  var submittedCounts: [Int] { lanes.map(\.submittedCount) }

  /// The same of one stream.
  func submittedCount(of number: Int) -> Int { lanes[number].submittedCount }

  /// How many of them have ended.
  func endedCount(of number: Int) -> Int { lanes[number].endedCount }

  /// The first failure of any stream.
  var failure: RoostError? { loss ?? lanes.lazy.compactMap(\.failure).first }

  /// Forgets the stream's failure; copies that were submitted before stay skipped.
  mutating func reset(_ number: Int) {
    guard lanes[number].failure != nil else { return }
    lanes[number].failure = nil
    lanes[number].skippedCount = lanes[number].operations.count
  }

  /// Stops a stream before its next operation.
  mutating func hold(_ number: Int) { lanes[number].isHeld = true }

  /// Lets all streams go on.
  mutating func resume() {
    for index in lanes.indices { lanes[index].isHeld = false }
  }

  /// The device is gone: copies are skipped, events complete, nothing is held.
  mutating func lose(_ error: RoostError) { loss = loss ?? error }

  /// Whose turn it is, and what it consists of; nil: no stream can go on.
  mutating func next() -> (lane: Int, work: Work)? {
    var chosen: Int?
    for index in lanes.indices where lanes[index].canGoOn(loss != nil) {
      if lanes[index].rank >= chosen.map({ lanes[$0].rank }) ?? 0 { chosen = index }
    }
    guard let number = chosen else { return nil }
    if random.next() % Limits.turnsPerRank == 0 { lanes[number].rank = random.next() }
    time += 1 + random.next() % Limits.turnNanosecondsMax
    history = SplitMix64.mix(history ^ UInt64(number) << 32 ^ UInt64(lanes[number].endedCount))
    return (number, work(of: number))
  }

  private mutating func work(of number: Int) -> Work {
    switch lanes[number].operations[lanes[number].doneCount] {
    case .copy(var copy):
      let isSkipped =
        loss != nil || lanes[number].failure != nil || lanes[number].doneCount < lanes[number].skippedCount
      guard !isSkipped, copy.error != nil || !copy.isDone else { return pass(number) }
      if let error = copy.error { return .refuse(error) }
      let part = copy.takePart()
      lanes[number].operations[lanes[number].doneCount] = .copy(copy)
      return .copy(part, copy.direction)
    case .record(let recording): return .record(recording)
    case .wait: return pass(number)
    case .call(let action):
      lanes[number].isCalling = true
      return .call(action)
    }
  }

  private mutating func pass(_ number: Int) -> Work {
    lanes[number].finishFirst()
    return .pass
  }

  /// The turn's work is done. A copy with parts left stays the stream's first operation.
  mutating func ended(_ number: Int) {
    lanes[number].isCalling = false
    if case .copy(let copy) = lanes[number].operations[lanes[number].doneCount], !copy.isDone { return }
    lanes[number].finishFirst()
  }

  /// The turn's copy failed, and the stream with it.
  mutating func failed(_ number: Int, _ error: RoostError) {
    lanes[number].failure = lanes[number].failure ?? error
    lanes[number].finishFirst()
  }

  /// The turn did not happen: the stream stands still before it.
  mutating func stalled(_ number: Int) {
    lanes[number].isHeld = true
    guard case .copy(var copy) = lanes[number].operations[lanes[number].doneCount] else { return }
    copy.returnPart()
    lanes[number].operations[lanes[number].doneCount] = .copy(copy)
  }
}
