import Glibc
import RoostPrimitives
import Synchronization

/// What a device, its streams and its events share: the driver, whether the device is lost, and what was handed out.
/// Closes the driver when the last of them goes.
final class DriverSession: Sendable {
  let driver: any DeviceDriver
  let description: DeviceDescription
  let calls = HostCallBoard()
  let memories: DriverMemories
  private let loss = Locked<RoostError?>(nil)
  private let hasLoss = Atomic(false)
  private let marks = Locked<[DriverHandle]>([])
  private let streams = Locked<[WeakStream]>([])

  private struct WeakStream {
    weak var stream: DrivenStream?
  }

  init(_ driver: any DeviceDriver) {
    self.driver = driver
    description = driver.description
    memories = DriverMemories(deviceName: driver.description.uri)
  }

  deinit {
    for mark in marks.withLock({ $0 }) { tidy { () throws(RoostError) in try driver.destroyEvent(mark) } }
    for range in memories.ranges { tidy { () throws(RoostError) in try driver.unregister(range) } }
    for allocation in memories.hostAllocations { tidy { () throws(RoostError) in try driver.freeHost(allocation) } }
    for (address, isImported) in memories.deviceAllocations {
      tidy { () throws(RoostError) in isImported ? try driver.closeImported(address) : try driver.free(address) }
    }
    tidy { () throws(RoostError) in try driver.close() }
  }

  /// Does what nobody waits for; a failure is a line in the log, unless it is the old news of a lost device.
  func tidy(_ body: () throws(RoostError) -> Void) {
    do throws(RoostError) {
      try body()
    } catch {
      if error.code != .lost { Log.write(.warning, "\(description.uri): \(error)") }
    }
  }

  /// Why the device is lost; nil: it is not.
  var lossIfAny: RoostError? { hasLoss.load(ordering: .acquiring) ? loss.withLock { $0 } : nil }

  /// Calls the driver, unless the device is lost; notices if that loses it.
  @inline(__always)
  func ask<Answer>(_ body: (any DeviceDriver) throws(RoostError) -> Answer) throws(RoostError) -> Answer {
    if hasLoss.load(ordering: .acquiring), let error = loss.withLock({ $0 }) { throw error }
    do throws(RoostError) {
      return try body(driver)
    } catch {
      if error.code == .lost { lose(error) }
      throw error
    }
  }

  private func lose(_ error: RoostError) {
    loss.withLock { if $0 == nil { $0 = error } }
    hasLoss.store(true, ordering: .releasing)
    calls.runAll()
  }

  // MARK: - Waiting

  /// Asks until the answer is yes: at once, then without a pause for a moment, then with growing pauses. False if the
  /// deadline passed first.
  func wait(until deadline: Deadline, isDone: () throws(RoostError) -> Bool) throws(RoostError) -> Bool {
    if try isDone() { return true }
    let clock = MonotonicClock()
    let start = clock.nanoseconds
    var pause = Limits.pauseMicrosecondsMin
    while true {
      let now = clock.nanoseconds
      if now >= deadline.nanoseconds { return try isDone() }
      if now - start < Limits.spinNanoseconds {
        sched_yield()
      } else {
        usleep(min(pause, UInt32(clamping: (deadline.nanoseconds - now) / 1000)))
        pause = min(pause * 2, Limits.pauseMicrosecondsMax)
      }
      if try isDone() { return true }
    }
  }

  /// Waits until a stream has come to where it is now filled to.
  func wait(for stream: DriverHandle, until deadline: Deadline) throws(RoostError) -> Bool {
    if try ask({ (driver) throws(RoostError) in try driver.isIdle(stream) }) { return true }
    // An event of our own, because more may be submitted while we wait.
    let mark: DriverHandle
    if let spare = marks.withLock({ $0.popLast() }) {
      mark = spare
    } else {
      mark = try ask { (driver) throws(RoostError) in try driver.makeEvent() }
    }
    defer { marks.withLock { $0.append(mark) } }
    try ask { (driver) throws(RoostError) in try driver.record(mark, on: stream) }
    return try wait(until: deadline) { () throws(RoostError) in
      try ask { (driver) throws(RoostError) in try driver.isComplete(mark) }
    }
  }

  // MARK: - Streams

  func add(_ stream: DrivenStream) {
    streams.withLock { list in
      list.removeAll { $0.stream == nil }
      list.append(WeakStream(stream: stream))
    }
  }

  var liveStreams: [DrivenStream] { streams.withLock { $0.compactMap(\.stream) } }
}
