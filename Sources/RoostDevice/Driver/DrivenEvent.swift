import RoostPrimitives
import Synchronization

/// An event of a driven device. Complete also when the device is lost: nobody waits for what will not come.
public final class DrivenEvent: DeviceEvent {
  /// The vendor's event, for code that calls the vendor itself. Valid while this object lives.
  public let handle: DriverHandle
  let session: DriverSession
  private let isRecorded = Atomic(false)

  init(_ handle: DriverHandle, of session: DriverSession) {
    self.handle = handle
    self.session = session
  }

  deinit { session.tidy { () throws(RoostError) in try session.driver.destroyEvent(handle) } }

  /// From now on there is something to wait for. What the driver is given.
  func noteRecording() -> DriverHandle {
    isRecorded.store(true, ordering: .releasing)
    return handle
  }

  /// See `DeviceEvent`.
  public var isComplete: Bool {
    guard isRecorded.load(ordering: .acquiring) else { return true }
    do throws(RoostError) {
      return try session.ask { (driver) throws(RoostError) in try driver.isComplete(handle) }
    } catch {
      // Not complete as far as anybody knows, unless the device is gone.
      return error.code == .lost
    }
  }

  /// See `DeviceEvent`. Throws also what the driver throws.
  public func wait(until deadline: Deadline) throws(RoostError) {
    guard isRecorded.load(ordering: .acquiring) else { return }
    let isDone = try session.wait(until: deadline) { () throws(RoostError) in
      try session.ask { (driver) throws(RoostError) in try driver.isComplete(handle) }
    }
    guard isDone else { throw RoostError(.timedOut, "the event had not completed when the deadline passed") }
  }

  /// See `DeviceEvent`.
  public func secondsSince(_ start: any DeviceEvent) throws(RoostError) -> Double {
    guard session.description.capabilities.contains(.eventTiming) else {
      throw RoostError(.unsupported, "\(session.description.uri) does not offer event-timing")
    }
    guard let start = start as? DrivenEvent, start.session === session else {
      throw RoostError(.invalidInput, "the other event belongs to another device than \(session.description.uri)")
    }
    let areRecorded = isRecorded.load(ordering: .acquiring) && start.isRecorded.load(ordering: .acquiring)
    return try session.ask { (driver) throws(RoostError) in
      guard areRecorded, try driver.isComplete(handle), try driver.isComplete(start.handle) else {
        throw RoostError(.invalidInput, "both events must have completed to measure the time between them")
      }
      return try driver.seconds(from: start.handle, to: handle)
    }
  }
}
