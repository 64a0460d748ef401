import RoostPrimitives

/// A driver whose streams, events and addresses are pointers and whose results are numbers, 0 for success: what most
/// vendors' runtimes look like. What they do alike is written here, once; what each calls it stands in a table.
public protocol RuntimeDriver: DeviceDriver {
  /// The vendor's functions.
  associatedtype Functions

  /// What the runtime calls its functions of streams and events.
  var streams: RuntimeStreams<Functions> { get }

  /// Calls a function with the device chosen for the calling thread, and puts the thread's own choice back.
  func call(
    _ function: @autoclosure () -> String, _ body: (UnsafePointer<Functions>) -> CInt
  ) throws(RoostError)

  /// Calls a function of a stream or an event, one of which a second call changes nothing. Where the runtime promises that
  /// the handle alone decides, whatever the thread has chosen, the thread need not be asked.
  func call(
    on handle: DriverHandle, _ function: @autoclosure () -> String, _ body: (UnsafePointer<Functions>) -> CInt
  ) throws(RoostError)
}

extension RuntimeDriver {
  /// Asks: not every runtime promises it.
  @inlinable @inline(__always)
  public func call(
    on handle: DriverHandle, _ function: @autoclosure () -> String, _ body: (UnsafePointer<Functions>) -> CInt
  ) throws(RoostError) { try call(function(), body) }
}

/// A runtime's functions of streams and events, each with its name without the prefix.
public struct RuntimeStreams<Functions>: Sendable {
  /// Takes a stream or an event.
  public typealias OnHandle = @Sendable (UnsafePointer<Functions>, UnsafeMutableRawPointer?) -> CInt
  /// Takes an event and a stream.
  public typealias OnBoth =
    @Sendable (
      UnsafePointer<Functions>, _ event: UnsafeMutableRawPointer?, _ stream: UnsafeMutableRawPointer?
    ) -> CInt
  /// Writes a new event.
  public typealias Making =
    @Sendable (
      UnsafePointer<Functions>, UnsafeMutablePointer<UnsafeMutableRawPointer?>
    ) -> CInt
  /// Writes the milliseconds between two events.
  public typealias Timing =
    @Sendable (
      UnsafePointer<Functions>, UnsafeMutablePointer<Float>, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?
    ) -> CInt

  /// The result that says "not yet", which is an answer, not a failure.
  public var notReady: CInt
  /// Lets go of a stream.
  public var destroyStream: RuntimeFunction<OnHandle>
  /// Whether a stream is idle.
  public var queryStream: RuntimeFunction<OnHandle>
  /// Makes an event.
  public var makeEvent: RuntimeFunction<Making>
  /// Lets go of an event.
  public var destroyEvent: RuntimeFunction<OnHandle>
  /// Records an event on a stream.
  public var record: RuntimeFunction<OnBoth>
  /// Makes a stream wait for an event.
  public var wait: RuntimeFunction<OnBoth>
  /// Whether an event has completed.
  public var queryEvent: RuntimeFunction<OnHandle>
  /// The time between two events; nil: the runtime does not measure it.
  public var elapsed: RuntimeFunction<Timing>?

  /// Names the functions.
  public init(
    notReady: CInt, destroyStream: (String, OnHandle), queryStream: (String, OnHandle), makeEvent: (String, Making),
    destroyEvent: (String, OnHandle), record: (String, OnBoth), wait: (String, OnBoth), queryEvent: (String, OnHandle),
    elapsed: (String, Timing)?
  ) {
    self.notReady = notReady
    self.destroyStream = RuntimeFunction(name: destroyStream.0, call: destroyStream.1)
    self.queryStream = RuntimeFunction(name: queryStream.0, call: queryStream.1)
    self.makeEvent = RuntimeFunction(name: makeEvent.0, call: makeEvent.1)
    self.destroyEvent = RuntimeFunction(name: destroyEvent.0, call: destroyEvent.1)
    self.record = RuntimeFunction(name: record.0, call: record.1)
    self.wait = RuntimeFunction(name: wait.0, call: wait.1)
    self.queryEvent = RuntimeFunction(name: queryEvent.0, call: queryEvent.1)
    self.elapsed = elapsed.map { RuntimeFunction(name: $0.0, call: $0.1) }
  }
}

/// A handle as a runtime wants it.
@inlinable @inline(__always)
public func pointer(_ handle: UInt) -> UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: handle) }

extension RuntimeDriver {
  /// Yes: a stream is the runtime's, whoever made it.
  @inlinable public var knowsForeignStreams: Bool { true }

  /// See `DeviceDriver`.
  @inlinable public func destroyStream(_ stream: DriverHandle) throws(RoostError) {
    try call(streams.destroyStream.name) { streams.destroyStream.call($0, pointer(stream)) }
  }

  /// See `DeviceDriver`.
  @inlinable public func isIdle(_ stream: DriverHandle) throws(RoostError) -> Bool {
    try isReady(stream, streams.queryStream.name) { streams.queryStream.call($0, pointer(stream)) }
  }

  /// See `DeviceDriver`.
  @inlinable public func makeEvent() throws(RoostError) -> DriverHandle {
    var event: UnsafeMutableRawPointer?
    try call(streams.makeEvent.name) { streams.makeEvent.call($0, &event) }
    return UInt(bitPattern: event)
  }

  /// See `DeviceDriver`.
  @inlinable public func destroyEvent(_ event: DriverHandle) throws(RoostError) {
    try call(streams.destroyEvent.name) { streams.destroyEvent.call($0, pointer(event)) }
  }

  /// See `DeviceDriver`.
  @inlinable public func record(_ event: DriverHandle, on stream: DriverHandle) throws(RoostError) {
    try call(on: stream, streams.record.name) { streams.record.call($0, pointer(event), pointer(stream)) }
  }

  /// See `DeviceDriver`.
  @inlinable public func wait(for event: DriverHandle, on stream: DriverHandle) throws(RoostError) {
    try call(on: stream, streams.wait.name) { streams.wait.call($0, pointer(event), pointer(stream)) }
  }

  /// See `DeviceDriver`.
  @inlinable public func isComplete(_ event: DriverHandle) throws(RoostError) -> Bool {
    try isReady(event, streams.queryEvent.name) { streams.queryEvent.call($0, pointer(event)) }
  }

  /// See `DeviceDriver`.
  @inlinable public func seconds(from start: DriverHandle, to end: DriverHandle) throws(RoostError) -> Double {
    guard let elapsed = streams.elapsed else { throw missing("event-timing") }
    var milliseconds: Float = 0
    try call(elapsed.name) { elapsed.call($0, &milliseconds, pointer(start), pointer(end)) }
    return Double(milliseconds) / 1000
  }

  /// A question whose "not yet" is an answer.
  @inlinable @inline(__always)
  func isReady(
    _ handle: DriverHandle, _ function: @autoclosure () -> String, _ body: (UnsafePointer<Functions>) -> CInt
  ) throws(RoostError) -> Bool {
    var isReady = true
    let notReady = streams.notReady
    try call(on: handle, function()) { table in
      let result = body(table)
      isReady = result == 0
      return result == notReady ? 0 : result
    }
    return isReady
  }
}
