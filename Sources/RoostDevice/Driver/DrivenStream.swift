import RoostPrimitives
import Synchronization

/// A stream of a driven device. What the driver refuses, and what cannot be right, makes the stream fail; what is
/// submitted then is skipped here, so that the driver's own stream stays whole.
public final class DrivenStream: DeviceStream {
  /// The priority that it was made with.
  public let priority: StreamPriority
  /// The vendor's stream, for code that calls the vendor itself. Valid while this object lives.
  public let handle: DriverHandle
  let session: DriverSession
  private let failure = Locked<RoostError?>(nil)
  private let hasFailed = Atomic(false)

  init(_ handle: DriverHandle, priority: StreamPriority, of session: DriverSession) {
    self.handle = handle
    self.priority = priority
    self.session = session
  }

  deinit { session.tidy { () throws(RoostError) in try session.driver.destroyStream(handle) } }

  /// See `DeviceStream`.
  public func copy(_ piece: CopyPiece, _ direction: CopyDirection) throws(RoostError) {
    guard !hasFailed.load(ordering: .acquiring), piece.byteCount > 0 else { return }
    guard CopyCheck.isValid(piece) else { return fail(CopyCheck.error(of: piece, index: 0)) }
    submit { (driver) throws(RoostError) in
      // A pointer to the argument, not a new array.
      try withUnsafePointer(to: piece) { pointer throws(RoostError) in
        try driver.copy(UnsafeBufferPointer(start: pointer, count: 1), direction, on: handle)
      }
    }
  }

  /// See `DeviceStream`.
  public func copy(_ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection) throws(RoostError) {
    guard !hasFailed.load(ordering: .acquiring), !pieces.isEmpty else { return }
    var index = 0
    while index < pieces.count {
      guard CopyCheck.isValid(pieces[index]) else { return fail(CopyCheck.error(of: pieces[index], index: index)) }
      index += 1
    }
    submit { (driver) throws(RoostError) in try driver.copy(pieces, direction, on: handle) }
  }

  /// See `DeviceStream`.
  public func copy(_ rows: StridedCopy, _ direction: CopyDirection) throws(RoostError) {
    guard session.description.capabilities.contains(.stridedCopy) else { throw missing("strided-copy") }
    guard !hasFailed.load(ordering: .acquiring) else { return }
    if let error = CopyCheck.error(in: rows) { return fail(error) }
    guard rows.rowCount > 0, rows.rowByteCount > 0 else { return }
    submit { (driver) throws(RoostError) in try driver.copy(rows, direction, on: handle) }
  }

  /// Submits something other than a copy that begins at an address.
  func work(at address: UInt, byteCount: Int, _ body: (any DeviceDriver) throws(RoostError) -> Void) {
    guard !hasFailed.load(ordering: .acquiring) else { return }
    let piece = CopyPiece(source: address, target: address, byteCount: UInt(byteCount))
    guard CopyCheck.isValid(piece) else { return fail(CopyCheck.error(of: piece, index: 0)) }
    submit(body)
  }

  /// See `DeviceStream`.
  public func record(_ event: any DeviceEvent) throws(RoostError) {
    // The number alone: the caller keeps the object, and to keep it here too costs as much as the call.
    let mark = try mine(event).noteRecording()
    try session.ask { (driver) throws(RoostError) in try driver.record(mark, on: handle) }
  }

  /// See `DeviceStream`.
  public func wait(for event: any DeviceEvent) throws(RoostError) {
    let mark = try mine(event).handle
    try session.ask { (driver) throws(RoostError) in try driver.wait(for: mark, on: handle) }
  }

  /// See `DeviceStream`. If the device is lost, the function is called at once.
  public func enqueue(_ action: @escaping @Sendable () -> Void) throws(RoostError) {
    guard session.description.capabilities.contains(.hostCallbacks) else { throw missing("host-callbacks") }
    let call = HostCall(action, on: session.calls)
    session.calls.add(call)
    let reference = Unmanaged.passRetained(call)
    do throws(RoostError) {
      try session.ask { (driver) throws(RoostError) in
        try driver.call(HostCall.entry, reference.toOpaque(), on: handle)
      }
      // The device may have been lost between the two: then nobody else knows of this call.
      if session.lossIfAny != nil { call.run() }
    } catch {
      reference.release()
      guard error.code == .lost else {
        session.calls.remove(call)
        throw error
      }
      call.run()
    }
  }

  /// See `DeviceStream`.
  public func query() -> StreamStatus {
    do throws(RoostError) {
      let isIdle = try session.ask { (driver) throws(RoostError) in try driver.isIdle(handle) }
      if hasFailed.load(ordering: .acquiring), let error = failure.withLock({ $0 }) { return .failed(error) }
      return isIdle ? .idle : .busy
    } catch {
      fail(error)
      return .failed(failure.withLock { $0 } ?? error)
    }
  }

  /// See `DeviceStream`.
  public func wait(until deadline: Deadline) throws(RoostError) {
    let isDone: Bool
    do throws(RoostError) {
      isDone = try session.wait(for: handle, until: deadline)
    } catch {
      fail(error)
      throw failure.withLock { $0 } ?? error
    }
    guard isDone else { throw RoostError(.timedOut, "the stream was still busy when the deadline passed") }
    if let error = failure.withLock({ $0 }) { throw error }
  }

  /// See `DeviceStream`. The error of a lost device comes back.
  public func reset() {
    failure.withLock { $0 = nil }
    hasFailed.store(false, ordering: .releasing)
  }

  @inline(__always)
  private func submit(_ body: (any DeviceDriver) throws(RoostError) -> Void) {
    do throws(RoostError) {
      try session.ask(body)
    } catch {
      fail(error)
    }
  }

  private func fail(_ error: RoostError) {
    failure.withLock { if $0 == nil { $0 = error } }
    hasFailed.store(true, ordering: .releasing)
  }

  @inline(__always)
  private func mine(_ event: any DeviceEvent) throws(RoostError) -> DrivenEvent {
    guard let event = event as? DrivenEvent, event.session === session else {
      throw RoostError(.invalidInput, "the event belongs to another device than \(session.description.uri)")
    }
    return event
  }

  private func missing(_ capability: String) -> RoostError {
    RoostError(
      .unsupported, "\(session.description.uri) (\(session.description.name)) does not offer \(capability)")
  }
}
