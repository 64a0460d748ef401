import RoostPrimitives
import RoostStorage

/// The one directory of a simulated disk, as a process sees it that lives until the next crash.
public final class SimulatedDirectory: StorageDirectory {
  private let disk: SimulatedDisk
  private let era: Int
  private let queueCount = Guarded(0)

  /// `simulated`.
  public let path = "simulated"

  /// Opens the directory.
  public init(_ disk: SimulatedDisk) {
    self.disk = disk
    era = disk.state.withLock { $0.era }
  }

  /// The names.
  public func names() throws(RoostError) -> [String] {
    try inEra { state throws(RoostError) in state.names.keys.sorted() }
  }

  /// Opens a file.
  public func open(_ name: String) throws(RoostError) -> any StorageFile {
    let content = try inEra { (state) throws(RoostError) in
      guard let content = state.names[name] else { throw RoostError(.notFound, "there is no '\(name)'") }
      return content
    }
    return SimulatedFile(disk, content, era: era, lockName: nil)
  }

  /// Makes a file, if there is room.
  public func create(_ name: String, byteCount: Int) throws(RoostError) -> any StorageFile {
    let content = try inEra { (state) throws(RoostError) in
      state.names[name] = nil
      guard state.usedBytes + byteCount <= state.capacityBytes else {
        throw RoostError(.outOfResources, "the simulated disk is full")
      }
      let content = SimulatedContent(byteCount: byteCount)
      state.names[name] = content
      return content
    }
    return SimulatedFile(disk, content, era: era, lockName: nil)
  }

  /// Renames a file.
  public func rename(_ name: String, to newName: String) throws(RoostError) {
    try inEra { (state) throws(RoostError) in
      guard let content = state.names.removeValue(forKey: name) else {
        throw RoostError(.notFound, "there is no '\(name)'")
      }
      state.names[newName] = content
    }
  }

  /// Removes a file.
  public func remove(_ name: String) throws(RoostError) {
    try inEra { state throws(RoostError) in state.names[name] = nil }
  }

  /// Locks a file until it is closed, or the next crash.
  public func lock(_ name: String) throws(RoostError) -> any StorageFile {
    let content = try inEra { (state) throws(RoostError) in
      guard state.lockedNames.insert(name).inserted else { throw RoostError(.busy, "'\(name)' is locked") }
      let content = state.names[name] ?? SimulatedContent(byteCount: 0)
      state.names[name] = content
      return content
    }
    return SimulatedFile(disk, content, era: era, lockName: name)
  }

  /// Makes names durable.
  public func sync() throws(RoostError) {
    try inEra { state throws(RoostError) in
      if !state.happens(state.faults.emptySync, "empty sync") { state.syncedNames = state.names }
    }
  }

  /// Makes a queue.
  public func makeQueue(depth: Int) throws(RoostError) -> any StorageQueue {
    let number = queueCount.withLock { count in
      count += 1
      return count
    }
    return SimulatedQueue(disk, era: era, number: number)
  }

  private func inEra<Result>(_ body: (inout SimulatedDiskState) throws(RoostError) -> Result) throws(RoostError)
    -> Result
  {
    try disk.state.withLock { (state) throws(RoostError) in
      guard state.era == era else { throw RoostError(.lost, "the process has ended") }
      return try body(&state)
    }
  }
}

/// An open file of a simulated disk.
final class SimulatedFile: StorageFile, @unchecked Sendable {
  // The content is touched under the disk's lock only.
  let content: SimulatedContent
  private let disk: SimulatedDisk
  private let era: Int
  private let lockName: String?

  init(_ disk: SimulatedDisk, _ content: SimulatedContent, era: Int, lockName: String?) {
    self.disk = disk
    self.content = content
    self.era = era
    self.lockName = lockName
  }

  deinit {
    guard let lockName else { return }
    disk.state.withLock { state in
      if state.era == era { state.lockedNames.remove(lockName) }
    }
  }

  var byteCount: Int { disk.state.withLock { _ in content.bytes.count } }
  var allocatedBytes: Int { byteCount }

  func read(into memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(RoostError) -> Int {
    let result = disk.state.withLock { state in
      state.era == era ? state.read(content, at: offset, into: memory) : -SimulatedErrors.dead
    }
    guard result >= 0 else { throw .system("read", CInt(-result), "cannot read the simulated disk") }
    return result
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(RoostError) {
    let result = disk.state.withLock { state in
      guard state.era == era else { return SimulatedErrors.dead }
      if state.fullSteps > 0 {
        state.fullSteps -= 1
        return SimulatedErrors.noSpace
      }
      content.write(RawBytes(bytes.baseAddress, count: bytes.count), bytes.count, at: offset)
      return 0
    }
    guard result == 0 else { throw .system("write", CInt(result), "cannot write the simulated disk") }
  }

  func sync() throws(RoostError) {
    disk.state.withLock { state in
      if state.era == era, !state.happens(state.faults.emptySync, "empty sync") { content.sync() }
    }
  }
}
