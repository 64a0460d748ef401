import Foundation
import RoostConformance
import RoostPrimitives
import RoostSimulation
import RoostStorage
import Testing

@testable import TierDisk

/// A drive that takes a write and does not come back.
@Suite struct StalledDriveTests {
  @Test func aSegmentThatIsBeingCutHoldsUpNoLook() throws {
    let drive = StallingDirectory(
      SimulatedDirectory(
        SimulatedDisk(seed: 1, capacityBytes: 8 << 20, faults: StorageFaults(), clock: SeededClock(seed: 1))))
    var configuration = DiskTierConfiguration(capacity: .mebibytes(1))
    configuration.segment = .kibibytes(128)
    configuration.scanThreadCount = 1
    let tier = try DiskTier(drive, configuration)
    _ = try tier.recover(until: .never)
    let there = TierSheet(1, byteCount: 8192)
    let written = try tier.write([there])
    #expect(written == [.done])

    // The first page of another size needs a segment of its own, whose header the drive does not take.
    drive.stalls(true)
    let late = TierSheet(2, byteCount: 24_576)
    let outcomes = Guarded<[PageOutcome.Kind]>([])
    let writer = try HostThread.start("writer") {
      let kinds = (try? tier.write([late])) ?? []
      outcomes.withLock { $0 = kinds }
    }
    while drive.stalledCount == 0 { usleep(1000) }
    let found = Guarded<[Bool]>([])
    let hasLooked = HostThread.run("looker", until: Scratch.patience) {
      var answers: [Bool] = []
      tier.peek([there.name, late.name], into: &answers)
      found.withLock { $0 = answers }
    }
    #expect(hasLooked, "a look waits for the drive")
    drive.stalls(false)
    writer.join()
    if !hasLooked { return }
    #expect(found.withLock { $0 } == [true, false])
    #expect(outcomes.withLock { $0 } == [.done])
    tier.close(until: .never)
  }
}

/// A simulated directory whose files' own writes wait while it stalls. Operations of its queue do not.
private final class StallingDirectory: StorageDirectory {
  private struct State {
    var stalls = false
    var waitingCount = 0
  }

  private let inner: SimulatedDirectory
  private let state = Guarded(State())

  init(_ inner: SimulatedDirectory) { self.inner = inner }

  /// Writes that wait.
  var stalledCount: Int { state.withLock { $0.waitingCount } }
  func stalls(_ isStalling: Bool) { state.withLock { $0.stalls = isStalling } }

  fileprivate func wait() {
    state.withLock { $0.waitingCount += 1 }
    while state.withLock({ $0.stalls }) { usleep(1000) }
    state.withLock { $0.waitingCount -= 1 }
  }

  var path: String { inner.path }
  func names() throws(RoostError) -> [String] { try inner.names() }
  func open(_ name: String) throws(RoostError) -> any StorageFile { StallingFile(try inner.open(name), in: self) }
  func create(_ name: String, byteCount: Int) throws(RoostError) -> any StorageFile {
    StallingFile(try inner.create(name, byteCount: byteCount), in: self)
  }
  func rename(_ name: String, to newName: String) throws(RoostError) { try inner.rename(name, to: newName) }
  func remove(_ name: String) throws(RoostError) { try inner.remove(name) }
  func lock(_ name: String) throws(RoostError) -> any StorageFile { try inner.lock(name) }
  func sync() throws(RoostError) { try inner.sync() }
  func makeQueue(depth: Int) throws(RoostError) -> any StorageQueue {
    UnwrappingQueue(try inner.makeQueue(depth: depth))
  }
}

private final class StallingFile: StorageFile {
  let inner: any StorageFile
  private let directory: StallingDirectory

  init(_ inner: any StorageFile, in directory: StallingDirectory) {
    self.inner = inner
    self.directory = directory
  }

  var byteCount: Int { inner.byteCount }
  var allocatedBytes: Int { inner.allocatedBytes }
  func read(into memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(RoostError) -> Int {
    try inner.read(into: memory, at: offset)
  }
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(RoostError) {
    directory.wait()
    try inner.write(bytes, at: offset)
  }
  func sync() throws(RoostError) { try inner.sync() }
}

/// The queue inside knows its own files only.
private final class UnwrappingQueue: StorageQueue {
  private let inner: any StorageQueue
  init(_ inner: any StorageQueue) { self.inner = inner }
  var description: String { inner.description }
  var alignment: Int { inner.alignment }
  func submit(_ operations: [StorageOperation]) {
    inner.submit(
      operations.map { operation in
        guard let file = operation.file as? StallingFile else { return operation }
        var passed = operation
        passed.file = file.inner
        return passed
      })
  }
  func poll(into completions: inout [StorageCompletion]) { inner.poll(into: &completions) }
  func wait(until deadline: Deadline) -> Bool { inner.wait(until: deadline) }
  func close() { inner.close() }
}
