import DeviceCPU
import Foundation
import RoostDevice
import RoostPrimitives
import Synchronization
import Testing

/// Counts from any thread.
final class Tally: Sendable {
  private let count = Atomic<Int>(0)
  var value: Int { count.load(ordering: .acquiring) }
  func add() { count.wrappingAdd(1, ordering: .acquiringAndReleasing) }
}

/// Holds a stream up until it is opened.
final class Gate: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)
  func open() { semaphore.signal() }
  func pass() { _ = semaphore.wait(timeout: .now() + 30) }
}

/// Some host memory with addresses.
final class Bytes: @unchecked Sendable {
  let buffer: UnsafeMutableRawBufferPointer
  init(_ count: Int, fill: UInt8 = 0) {
    buffer = .allocate(byteCount: count, alignment: 64)
    _ = buffer.initializeMemory(as: UInt8.self, repeating: fill)
  }
  deinit { buffer.deallocate() }
  var address: UInt { UInt(bitPattern: buffer.baseAddress) }
  subscript(index: Int) -> UInt8 {
    get { buffer[index] }
    set { buffer[index] = newValue }
  }
}

@Suite struct CPUStreamTests {
  let device: CPUDevice
  let stream: any DeviceStream

  init() throws {
    device = try CPUDevice()
    stream = try device.makeStream(priority: .normal)
  }

  @Test func keepsTheOrderOfOperations() throws {
    let order = Locked<[Int]>([])
    let box = Box(order)
    for number in 0..<1000 { try stream.enqueue { box.value.withLock { $0.append(number) } } }
    try stream.wait(until: patience())
    #expect(box.value.withLock { $0 } == Array(0..<1000))
  }

  /// A noncopyable value behind a reference.
  private final class Box: Sendable {
    let value: Locked<[Int]>
    init(_ value: consuming Locked<[Int]>) { self.value = value }
  }

  @Test func copiesOnePieceManyPiecesAndRows() throws {
    let source = Bytes(10_000)
    for index in 0..<10_000 { source[index] = UInt8(truncatingIfNeeded: index &* 31) }
    let target = Bytes(10_000, fill: 0xEE)
    try stream.copy(CopyPiece(source: source.address, target: target.address, byteCount: 1000), .deviceToHost)
    try withPieces([
      CopyPiece(source: source.address + 5000, target: target.address + 1000, byteCount: 500),
      CopyPiece(source: source.address + 1, target: target.address + 1500, byteCount: 300),
    ]) { try stream.copy($0, .hostToDevice) }
    try stream.copy(
      StridedCopy(
        source: source.address + 6000, target: target.address + 2000, rowByteCount: 10, rowCount: 20, sourcePitch: 50,
        targetPitch: 40), .deviceToDevice)
    try stream.wait(until: patience())
    for index in 0..<1000 { #expect(target[index] == source[index]) }
    for index in 0..<500 { #expect(target[1000 + index] == source[5000 + index]) }
    for index in 0..<300 { #expect(target[1500 + index] == source[1 + index]) }
    for row in 0..<20 {
      for byte in 0..<40 {
        let expected = byte < 10 ? source[6000 + row * 50 + byte] : 0xEE
        #expect(target[2000 + row * 40 + byte] == expected)
      }
    }
  }

  @Test func copiesThePiecesThatTheCallerHadWhenItCalled() throws {
    let gate = Gate()
    try stream.enqueue { gate.pass() }
    let source = Bytes(16, fill: 7)
    let target = Bytes(16)
    var pieces = [CopyPiece(source: source.address, target: target.address, byteCount: 16)]
    try withPieces(pieces) { try stream.copy($0, .deviceToHost) }
    pieces[0] = CopyPiece(source: 0, target: 0, byteCount: .max)
    gate.open()
    try stream.wait(until: patience())
    #expect(target[15] == 7)
  }

  @Test func saysWhetherItIsBusy() throws {
    let gate = Gate()
    guard case .idle = stream.query() else { Issue.record("a new stream is not idle"); return }
    try stream.enqueue { gate.pass() }
    guard case .busy = stream.query() else { Issue.record("a held stream is not busy"); return }
    gate.open()
    try stream.wait(until: patience())
    guard case .idle = stream.query() else { Issue.record("a drained stream is not idle"); return }
  }

  @Test func stopsWaitingAtTheDeadline() throws {
    let gate = Gate()
    try stream.enqueue { gate.pass() }
    let error = #expect(throws: RoostError.self) { try stream.wait(until: .after(seconds: 0.01)) }
    #expect(error?.code == .timedOut)
    #expect(
      #expect(throws: RoostError.self) { try device.synchronize(until: .after(seconds: 0.01)) }?.code == .timedOut)
    gate.open()
    try stream.wait(until: patience())
  }

  @Test func keepsItsFirstErrorAndCopiesNothingUntilItIsReset() throws {
    let source = Bytes(16, fill: 7)
    let target = Bytes(16)
    let good = CopyPiece(source: source.address, target: target.address, byteCount: 16)
    let called = Tally()
    try withPieces([good, CopyPiece(source: 8, target: target.address, byteCount: 16)]) {
      try stream.copy($0, .deviceToHost)
    }
    try stream.copy(CopyPiece(source: source.address, target: .max - 3, byteCount: 16), .deviceToHost)
    try stream.copy(good, .deviceToHost)
    try stream.enqueue { called.add() }
    let event = try device.makeEvent()
    try stream.record(event)
    try event.wait(until: patience())
    let error = #expect(throws: RoostError.self) { try stream.wait(until: patience()) }
    #expect(error?.context.first { $0.name == "source" }?.value == "0x8")
    guard case .failed = stream.query() else { Issue.record("the stream has not failed"); return }
    #expect(target[0] == 0, "a batch with a bad piece was copied in part, or a later copy was not skipped")
    #expect(called.value == 1)
    stream.reset()
    try stream.copy(good, .deviceToHost)
    try stream.wait(until: patience())
    #expect(target[0] == 7)
  }

  @Test func skipsWhatWasQueuedBeforeAReset() throws {
    let source = Bytes(16, fill: 7)
    let target = Bytes(16)
    let gate = Gate()
    let failed = Tally()
    try stream.copy(CopyPiece(source: 0, target: 0, byteCount: 1), .deviceToHost)
    try stream.enqueue {
      failed.add()
      gate.pass()
    }
    try stream.copy(CopyPiece(source: source.address, target: target.address, byteCount: 16), .deviceToHost)
    while failed.value == 0 { usleep(100) }
    stream.reset()
    gate.open()
    try stream.wait(until: patience())
    #expect(target[0] == 0)
  }

  @Test(arguments: [
    StridedCopy(source: 0, target: 8192, rowByteCount: 1, rowCount: 1, sourcePitch: 1, targetPitch: 1),
    StridedCopy(source: 8192, target: 0, rowByteCount: 1, rowCount: 1, sourcePitch: 1, targetPitch: 1),
    StridedCopy(source: 8192, target: 16384, rowByteCount: 10, rowCount: 2, sourcePitch: 9, targetPitch: 10),
    StridedCopy(source: 8192, target: 16384, rowByteCount: -1, rowCount: 2, sourcePitch: 9, targetPitch: 10),
    StridedCopy(source: 8192, target: 16384, rowByteCount: 1, rowCount: .max, sourcePitch: 9, targetPitch: 10),
  ]) func failsOnRowsThatPointAtNoMemory(rows: StridedCopy) throws {
    try stream.copy(rows, .deviceToHost)
    #expect(#expect(throws: RoostError.self) { try stream.wait(until: patience()) }?.code == .invalidInput)
  }

  @Test func copiesNothingForEmptyPiecesWhereverTheyPoint() throws {
    try stream.copy(CopyPiece(source: 0, target: 0, byteCount: 0), .deviceToHost)
    try stream.copy(UnsafeBufferPointer(start: nil, count: 0), .deviceToHost)
    try stream.copy(
      StridedCopy(source: 0, target: 0, rowByteCount: 0, rowCount: 5, sourcePitch: 0, targetPitch: 0), .deviceToHost)
    try stream.wait(until: patience())
  }

  @Test func finishesItsOperationsAfterTheLastReferenceIsGone() throws {
    let done = Gate()
    let count = Tally()
    do {
      let gone = try device.makeStream(priority: .normal)
      for _ in 0..<100 {
        try gone.enqueue {
          usleep(50)
          count.add()
        }
      }
      try gone.enqueue { done.open() }
    }
    done.pass()
    #expect(count.value == 100)
  }

  @Test func takesOperationsFromManyThreads() throws {
    let count = Tally()
    let threads = try (0..<4).map { _ in
      try HostThread.start("submitter") {
        for _ in 0..<500 { try? stream.enqueue { count.add() } }
      }
    }
    for thread in threads { thread.join() }
    try stream.wait(until: patience())
    #expect(count.value == 2000)
  }
}
