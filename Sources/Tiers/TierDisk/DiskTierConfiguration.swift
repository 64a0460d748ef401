import RoostPrimitives
import RoostStorage

/// When what was written survives a loss of power. The death of the process it always survives.
public enum SyncPolicy: String, Sendable, CaseIterable {
  /// When the system or the drive gets round to it, or at `drain` and `close`. After a loss of power some of the last
  /// pages are gone or torn; a torn one is found by its seal and is a miss.
  case never
  /// Before the pages of a batch are reported as done: each batch costs an fdatasync a segment that it touched.
  case batch
}

/// How a disk tier is set up.
public struct DiskTierConfiguration: Sendable {
  /// All that the tier may take of its file system: pages, headers, its small files, the file system's own blocks.
  public var capacity: ByteCount
  /// When writes survive a loss of power.
  public var sync: SyncPolicy
  /// Operations at once.
  public var depth: Int
  /// The size of the files; chosen if nil. That of a directory that is in use already stays.
  public var segment: ByteCount?
  /// Threads that look at headers at the start.
  public var scanThreadCount: Int
  /// What time it is, for back-off.
  public var clock: any Clock
  /// Seconds since 1970, for the age of pages.
  public var wallSeconds: @Sendable () -> UInt64
  /// What decides which pages stay; nil: those used last.
  public var order: EvictionOrderKind?
  /// Makes the tier's random number reproducible.
  public var seed: UInt64?

  /// The most operations at once.
  public static let depthMax = Limits.depthMax

  /// A configuration with defaults for everything but the capacity.
  public init(capacity: ByteCount) {
    self.capacity = capacity
    sync = .never
    depth = Limits.depthDefault
    scanThreadCount = Limits.scanThreadCountMax
    clock = MonotonicClock()
    wallSeconds = { DiskTierConfiguration.secondsSince1970 }
  }

  /// Refuses what cannot work.
  func check() throws(RoostError) {
    guard (Limits.capacityBytesMin...Limits.capacityBytesMax).contains(capacity.bytes) else {
      throw RoostError(
        .invalidInput,
        "the capacity of a disk tier must be \(ByteCount(Limits.capacityBytesMin)) to "
          + "\(ByteCount(Limits.capacityBytesMax)); it is \(capacity)")
    }
    guard (1...Limits.depthMax).contains(depth) else {
      throw RoostError(.invalidInput, "the depth of a disk tier must be 1 to \(Limits.depthMax); it is \(depth)")
    }
    if let segment, segment.bytes < Limits.segmentFrontBytes + Limits.slotBytesMin {
      throw RoostError(.invalidInput, "a segment of \(segment) holds nothing")
    }
  }

  /// What segments may take.
  var usableBytes: Int {
    capacity.bytes - max(Limits.reserveBytesMin, capacity.bytes / Limits.reserveShare)
  }

  /// What the snapshot may take: the reserve, but for the small files.
  var snapshotBytesMax: Int { capacity.bytes - usableBytes - Limits.reserveBytesMin / 2 }

  /// The size of a new tier's segments.
  var segmentByteCount: Int {
    let share = usableBytes / Limits.segmentCountTarget
    let wanted = segment?.bytes ?? max(Limits.segmentBytesMin, min(Limits.segmentBytesMax, share))
    let fitting = max(min(wanted, usableBytes), usableBytes / Limits.segmentCountMax)
    return fitting / Limits.granuleBytes * Limits.granuleBytes
  }
}
