import Glibc
import RoostPrimitives
import RoostStorage

/// An operation under way on a simulated disk.
struct PendingOperation: @unchecked Sendable {
  // The memory is the queue's until the operation has completed.
  let kind: StorageOperation.Kind
  let token: UInt64
  let content: SimulatedContent
  let offset: Int
  /// Write: the bytes as they were when it was submitted.
  let data: RawBytes
  /// Read: where to.
  let first: UnsafeMutableRawBufferPointer
  let second: UnsafeMutableRawBufferPointer
  let queue: Int
  /// How many steps it takes still.
  var steps: Int
}

/// A queue on a simulated disk. Time passes, and operations complete, by polling and waiting.
final class SimulatedQueue: StorageQueue {
  private let disk: SimulatedDisk
  private let era: Int
  private let number: Int

  let description = "simulated"
  let alignment = 512

  init(_ disk: SimulatedDisk, era: Int, number: Int) {
    self.disk = disk
    self.era = era
    self.number = number
  }

  func submit(_ operations: [StorageOperation]) {
    disk.state.withLock { state in
      guard state.era == era else { return }
      for operation in operations {
        guard let file = operation.file as? SimulatedFile else { preconditionFailure("a file of another storage") }
        let data = RawBytes(count: operation.kind == .write ? operation.byteCount : 0)
        if operation.kind == .write {
          if let first = operation.first.baseAddress { memcpy(data.start, first, operation.first.count) }
          if let second = operation.second.baseAddress {
            memcpy(data.start + operation.first.count, second, operation.second.count)
          }
        }
        let isStalled = state.happens(state.faults.stall, "stall")
        let steps = Int.random(in: 0..<4, using: &state.generator) * (isStalled ? 100 : 1)
        state.pending.append(
          PendingOperation(
            kind: operation.kind, token: operation.token, content: file.content, offset: operation.offset,
            data: data, first: operation.first, second: operation.second, queue: number, steps: steps))
      }
    }
  }

  func poll(into completions: inout [StorageCompletion]) {
    disk.clock.advance(nanoseconds: 100_000)
    disk.state.withLock { state in
      guard state.era == era else { return }
      state.landLateWrites()
      var left: [PendingOperation] = []
      for var operation in state.pending {
        operation.steps -= 1
        if operation.steps >= 0 || operation.queue != number {
          left.append(operation)
        } else {
          completions.append(StorageCompletion(token: operation.token, result: state.perform(operation)))
        }
      }
      state.pending = left
    }
  }

  func wait(until deadline: Deadline) -> Bool {
    disk.clock.advance(nanoseconds: 1_000_000)
    return true
  }

  func close() {
    var rest: [StorageCompletion] = []
    // A stall takes 400 steps at most.
    for _ in 0..<1000 where disk.state.withLock({ $0.era == era && !$0.pending.isEmpty }) { poll(into: &rest) }
  }
}

extension SimulatedDiskState {
  mutating func landLateWrites() {
    for index in late.indices { late[index].steps -= 1 }
    for write in late where write.steps < 0 { write.content.write(write.data, write.data.count, at: write.offset) }
    late.removeAll { $0.steps < 0 }
  }

  mutating func perform(_ operation: PendingOperation) -> Int {
    switch operation.kind {
    case .sync:
      if !happens(faults.emptySync, "empty sync") { operation.content.sync() }
      return 0
    case .read: return performRead(operation)
    case .write: return performWrite(operation)
    }
  }

  private mutating func performRead(_ operation: PendingOperation) -> Int {
    let asked = operation.first.count + operation.second.count
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: asked, alignment: 16)
    defer { memory.deallocate() }
    var count = read(operation.content, at: operation.offset, into: memory)
    guard count > 0 else { return count }
    if happens(faults.shortTransfer, "short read") { count = Int.random(in: 1...count, using: &generator) }
    let inFirst = min(count, operation.first.count)
    if let first = operation.first.baseAddress, let from = memory.baseAddress {
      memcpy(first, from, inFirst)
      if let second = operation.second.baseAddress { memcpy(second, from + inFirst, count - inFirst) }
    }
    return count
  }

  private mutating func performWrite(_ operation: PendingOperation) -> Int {
    if fullSteps > 0 || happens(faults.full, "full") {
      fullSteps = fullSteps > 0 ? fullSteps - 1 : 30
      return -SimulatedErrors.noSpace
    }
    let (content, offset, data) = (operation.content, operation.offset, operation.data)
    if happens(faults.failedWrite, "failed write") {
      let kept = Set(SimulatedContent.sectors(offset..<(offset + data.count)).filter { _ in coin() })
      content.write(data, data.count, at: offset) { kept.contains($0) }
      return -SimulatedErrors.inputOutput
    }
    if happens(faults.lostWrite, "lost write") { return data.count }
    if happens(faults.misdirectedWrite, "misdirected write") {
      let places = max(1, content.bytes.count / 4096)
      content.write(data, data.count, at: Int.random(in: 0..<places, using: &generator) * 4096)
      return data.count
    }
    if happens(faults.lateWrite, "late write") {
      late.append((content, offset, data, Int.random(in: 1..<200, using: &generator)))
      return data.count
    }
    if happens(faults.shortTransfer, "short write") {
      let count = Int.random(in: 1...data.count, using: &generator)
      content.write(data, count, at: offset)
      return count
    }
    content.write(data, data.count, at: offset)
    return data.count
  }
}
