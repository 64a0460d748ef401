import RoostPrimitives

/// How a stream ranks among the streams of its device, where the device has `streamPriority`.
public enum StreamPriority: Int, Sendable, CaseIterable {
  /// Work that nobody waits for: stores.
  case normal
  /// Work that a request waits for: loads.
  case high
}

/// Which side of a copy is device memory. Devices that tell by address ignore it.
public enum CopyDirection: UInt8, Sendable, CaseIterable {
  /// A store.
  case deviceToHost
  /// A load.
  case hostToDevice
  /// Within one device.
  case deviceToDevice
}

/// Rows of equal length, `sourcePitch` and `targetPitch` apart: one strided copy.
public struct StridedCopy: Hashable, Sendable {
  /// Address of the first byte to read.
  public var source: UInt
  /// Address of the first byte to write.
  public var target: UInt
  /// Bytes a row; at most each pitch.
  public var rowByteCount: Int
  /// Rows.
  public var rowCount: Int
  /// Bytes from one row's start to the next, at the source.
  public var sourcePitch: Int
  /// Bytes from one row's start to the next, at the target.
  public var targetPitch: Int

  /// Describes a strided copy.
  public init(source: UInt, target: UInt, rowByteCount: Int, rowCount: Int, sourcePitch: Int, targetPitch: Int) {
    self.source = source
    self.target = target
    self.rowByteCount = rowByteCount
    self.rowCount = rowCount
    self.sourcePitch = sourcePitch
    self.targetPitch = targetPitch
  }
}

/// Where a stream is.
public enum StreamStatus: Sendable {
  /// Everything submitted has ended.
  case idle
  /// Operations are waiting or running.
  case busy
  /// An operation failed; the later ones were skipped.
  case failed(RoostError)
}

/// An ordered, asynchronous queue of operations on one device. Thread-safe; operations start in the order in which
/// the calls return. Every submitting call returns at once, except that a full queue makes it wait for room, at most
/// for the device's own submit limit, after which it throws `timedOut`.
public protocol DeviceStream: AnyObject, Sendable {
  /// The stream's priority.
  var priority: StreamPriority { get }

  /// Copies one contiguous range.
  func copy(_ piece: CopyPiece, _ direction: CopyDirection) throws(RoostError)

  /// Copies many ranges, in any order among themselves. The array is copied before the call returns.
  func copy(_ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection) throws(RoostError)

  /// Copies rows. Needs `stridedCopy`.
  func copy(_ rows: StridedCopy, _ direction: CopyDirection) throws(RoostError)

  /// Records `event`: it completes when everything submitted before has ended.
  func record(_ event: any DeviceEvent) throws(RoostError)

  /// Later operations wait until the last recording of `event` before this call has completed. An event that was
  /// never recorded does not hold anything up.
  func wait(for event: any DeviceEvent) throws(RoostError)

  /// Calls `action` in order, on a thread of the device. It must not call the device, and must not block. Needs
  /// `hostCallbacks`. Called even if the stream has failed, so that nobody waits for ever.
  func enqueue(_ action: @escaping @Sendable () -> Void) throws(RoostError)

  /// Where the stream is now; does not block. May say busy for a moment after the end of the last operation was heard of
  /// in another way (an event, `wait`): drivers tell the two from different words in memory.
  func query() -> StreamStatus

  /// Waits until everything submitted before has ended.
  ///
  /// - Throws: `timedOut`, or the stream's first error.
  func wait(until deadline: Deadline) throws(RoostError)

  /// Forgets the error of a failed stream, after which it accepts operations again.
  func reset()
}

/// A mark in a stream that the host and other streams can wait for. Thread-safe; may be recorded again, which
/// replaces the earlier recording.
public protocol DeviceEvent: AnyObject, Sendable {
  /// Whether the last recording has completed; true for an event that was never recorded. Does not block.
  var isComplete: Bool { get }

  /// Waits for the last recording.
  ///
  /// - Throws: `timedOut`.
  func wait(until deadline: Deadline) throws(RoostError)

  /// Seconds between the completion of `start` and of this event. Needs `eventTiming`.
  ///
  /// - Throws: `invalidInput` if either has not completed, `unsupported` without the capability.
  func secondsSince(_ start: any DeviceEvent) throws(RoostError) -> Double
}

/// A group of devices of one kind that work on data together.
public protocol Collective: AnyObject, Sendable {
  /// This member's number.
  var rank: Int { get }
  /// How many members there are.
  var rankCount: Int { get }

  /// Sums `count` 32-bit floats at `address` over all members; all get the sums.
  func allReduceSum(address: UInt, count: Int, on stream: any DeviceStream) throws(RoostError)

  /// Gathers `byteCount` bytes of every member, in the order of ranks, into `target` of `rankCount * byteCount` bytes.
  func allGather(source: UInt, target: UInt, byteCount: Int, on stream: any DeviceStream) throws(RoostError)
}
