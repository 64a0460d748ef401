import RoostBlocks
import RoostPrimitives

/// The part that copies pages between a device and slots. It knows device blocks, slots and generations; it knows no
/// keys and takes no decisions.
///
/// `LocalDataPlane` runs in the control plane's own process. `RemoteDataPlane` is the control plane's view of a worker
/// process, which runs a `LocalDataPlane` over its attachment of the pool. Both fence: from `submit` until the job's
/// result was polled, the engine knows that copies run on the lease, and no slot of it is reused before that.
///
/// Thread-safe. Nothing blocks but `wait`, which has a deadline.
public protocol DataPlane: AnyObject, Sendable {
  /// Starts copying. Returns at once; the result comes from `poll` or `wait`.
  ///
  /// - Throws: `invalidInput` for an unknown group or a device block out of range, `outOfResources` when too many
  ///   jobs are in flight, `lost` when the worker is gone. Then nothing was started and no result will come.
  func submit(_ job: CopyJob, _ blocks: UnsafeBufferPointer<BlockCopy>) throws(RoostError) -> JobID

  /// Takes the results of jobs that have ended, at most `countMax`, oldest first.
  func poll(countMax: Int) -> [JobResult]

  /// Waits for one job and takes its result.
  ///
  /// - Throws: `timedOut` (the job goes on), `notFound` if the job's result was taken before.
  func wait(for job: JobID, until deadline: Deadline) throws(RoostError) -> JobResult

  /// Cancels a job that has not started. Its result comes either way, as `cancelled` if this was in time.
  func cancel(_ job: JobID)
}

/// Names a job within its data plane.
public struct JobID: RawRepresentable, Hashable, Sendable {
  /// Counts up from 1.
  public let rawValue: UInt64
  /// Wraps a number.
  public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// What to do with a list of blocks.
public struct CopyJob: Sendable {
  /// Away from the device, or toward it.
  public var verb: CopyVerb
  /// The group that the blocks belong to.
  public var group: Int
  /// The lease that holds the slots, nil when the caller does its own fencing.
  public var lease: LeaseID?
  /// Only this range of every page, of those that `LocalDataPlane.divide` has made; nil: all of it.
  public var range: Int?
  /// The caller waits for this very job next (`TransferJob.isAwaited`). A hint, which a remote data plane ignores.
  public var isAwaited: Bool

  /// Describes a job.
  public init(
    _ verb: CopyVerb, group: Int = 0, lease: LeaseID?, range: Int? = nil, isAwaited: Bool = false
  ) {
    self.verb = verb
    self.group = group
    self.lease = lease
    self.range = range
    self.isAwaited = isAwaited
  }
}

/// Which way pages go.
public enum CopyVerb: UInt8, Sendable, CaseIterable {
  /// Device to slots.
  case store
  /// Slots to device.
  case load
}

/// One page of a job: 12 bytes without references, the same in memory and on the wire of one host.
public struct BlockCopy: Hashable, Sendable {
  /// The block's number in the device's KV cache.
  public var block: UInt32
  /// The slot.
  public var slot: SlotNumber
  /// The slot's generation when it was granted; a copy into or out of a slot of another generation is not made.
  public var generation: UInt32

  /// Describes one page's copy.
  public init(block: UInt32, slot: SlotNumber, generation: UInt32) {
    self.block = block
    self.slot = slot
    self.generation = generation
  }
}

/// How a job ended.
public struct JobResult: Sendable {
  /// Which job.
  public var job: JobID
  /// The lease it ran under.
  public var lease: LeaseID?
  /// Whether the copies that were made are complete.
  public var outcome: Outcome
  /// Indices into the job's blocks that were not copied, ascending: stale generations, or all of them if the job as a
  /// whole failed.
  public var failedBlocks: [Int]
  /// Bytes copied.
  public var byteCount: Int
  /// Seconds between the start of the first copy and the end of the last, on the side that copied.
  public var seconds: Double
  /// For a check of test patterns: bytes that differ.
  public var wrongByteCount = 0

  /// How a job as a whole went.
  public enum Outcome: Sendable {
    /// Every block but `failedBlocks` is copied.
    case done
    /// It was cancelled before it started.
    case cancelled
    /// The device or the worker failed; nothing may be taken as copied.
    case failed(RoostError)
  }

  /// Describes a result.
  public init(
    job: JobID, lease: LeaseID?, outcome: Outcome, failedBlocks: [Int], byteCount: Int, seconds: Double
  ) {
    self.job = job
    self.lease = lease
    self.outcome = outcome
    self.failedBlocks = failedBlocks
    self.byteCount = byteCount
    self.seconds = seconds
  }

  /// Whether every block was copied.
  public var isComplete: Bool {
    if case .done = outcome { return failedBlocks.isEmpty }
    return false
  }
}
