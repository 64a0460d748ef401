import RoostEngine

/// What a replay counted and measured.
public struct ReplayStatistics: Sendable {
  /// Requests replayed.
  public var requestCount = 0
  /// Block references: the blocks of all requests, repeats included.
  public var referenceCount = 0
  /// Different blocks among them.
  public var uniqueCount = 0
  /// Blocks of leading runs that were ready.
  public var prefixHitCount = 0
  /// Blocks that the policy let in.
  public var admittedCount = 0
  /// Blocks that the policy refused or that found no room.
  public var refusedCount = 0
  /// Blocks that made room for others.
  public var evictionCount = 0
  /// Blocks that matched but could not be leased or copied; they count as hits of the policy and were recomputed.
  public var loadShortfallCount = 0
  /// Bytes copied from the pool to the device.
  public var loadedByteCount = 0
  /// Bytes copied from the device to the pool.
  public var storedByteCount = 0
  /// Seconds during which loads copied.
  public var loadSeconds = 0.0
  /// Seconds during which stores copied.
  public var storeSeconds = 0.0
  /// Seconds spent in match.
  public var lookupSeconds = 0.0
  /// Nanoseconds of processor time inside the eviction policy a block reference, learning included; nil without
  /// references.
  public var policyNanosecondsPerReference: Double?
  /// Bytes of metadata that the control plane has for each slot.
  public var metadataBytesPerSlot = 0.0
  /// Pages compared with their pattern.
  public var verifiedPageCount = 0
  /// Pages that were not what they should have been.
  public var verifyFailureCount = 0
  /// Bytes that were flipped on purpose.
  public var faultCount = 0
  /// Copies that the data plane reported as failed.
  public var failedCopyCount = 0
  /// Time from the call to the answer of match, a request.
  public var match = LatencyHistogram()
  /// Time from beginLoad to end, verification left out, a request that loads.
  public var load = LatencyHistogram()
  /// Time from beginStore to commit, filling left out, a request that stores.
  public var store = LatencyHistogram()
  /// GB/s (1e9 bytes) of one-thread memcpy of 64 MiB, sampled between requests.
  public var memcpySamples: [Double] = []
  /// Seconds from the first request to the last.
  public var seconds = 0.0
  /// How all this came about, request by request.
  public var series = TimeSeries()
  /// What went to and came from the tier below the pool; nil without one.
  public var tier: Tier?
  /// Whether somebody ended the replay early.
  public var wasInterrupted = false

  /// Nothing counted yet.
  public init() {}

  /// What a replay knows of its tier.
  public struct Tier: Sendable {
    /// Pages that an earlier replay left.
    public var foundCount: Int
    /// Blocks of leading runs that had to be brought up; they are among the prefix hits.
    public var hitCount = 0
    /// Seconds that requests waited for pages.
    public var readSeconds = 0.0
    /// Seconds of writing behind requests.
    public var writeSeconds = 0.0
    /// The engine's counters at the end.
    public var atEnd = TierStatistics()

    init(atStart statistics: TierStatistics?) { foundCount = statistics?.usage.pageCount ?? 0 }

    /// GB/s (1e9 bytes) at which pages came up; nil if none did.
    public var readRate: Double? {
      atEnd.promotedBytes > 0 && readSeconds > 0 ? Double(atEnd.promotedBytes) / readSeconds / 1e9 : nil
    }

    /// GB/s (1e9 bytes) at which pages were written; nil if none were.
    public var writeRate: Double? {
      atEnd.demotedBytes > 0 && writeSeconds > 0 ? Double(atEnd.demotedBytes) / writeSeconds / 1e9 : nil
    }
  }

  /// Prefix hits over references, 0 without references.
  public var prefixHitRatio: Double {
    referenceCount > 0 ? Double(prefixHitCount) / Double(referenceCount) : 0
  }

  /// GB/s (1e9 bytes) of loads, copies alone; nil if nothing was copied.
  public var loadRate: Double? { rate(loadedByteCount, loadSeconds) }

  /// GB/s (1e9 bytes) of stores, copies alone; nil if nothing was copied.
  public var storeRate: Double? { rate(storedByteCount, storeSeconds) }

  /// The median of the memcpy samples, nil if there are none.
  public var memcpyRate: Double? {
    guard !memcpySamples.isEmpty else { return nil }
    let sorted = memcpySamples.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// Nanoseconds of match a block reference, nil without references.
  public var lookupNanosecondsPerBlock: Double? {
    referenceCount > 0 ? lookupSeconds * 1e9 / Double(referenceCount) : nil
  }

  /// Whether everything that was moved arrived, and arrived whole.
  public var isSound: Bool { verifyFailureCount == 0 && failedCopyCount == 0 && loadShortfallCount == 0 }

  private func rate(_ bytes: Int, _ seconds: Double) -> Double? {
    bytes > 0 && seconds > 0 ? Double(bytes) / seconds / 1e9 : nil
  }
}
