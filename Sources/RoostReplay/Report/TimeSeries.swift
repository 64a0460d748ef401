/// How a replay went, from its first request to its last: equal numbers of requests make an interval.
///
/// The memory is bounded whatever the length of the trace: when there are `intervalCountMax` intervals, neighbours are
/// joined and intervals become twice as long. Not thread-safe.
public struct TimeSeries: Sendable {
  /// What happened in consecutive requests.
  public struct Interval: Sendable, Equatable {
    /// Requests.
    public var requestCount = 0
    /// Blocks of these requests.
    public var referenceCount = 0
    /// Of these, blocks that the pool held.
    public var hitCount = 0
    /// Blocks that were stored.
    public var admittedCount = 0
    /// Blocks that the policy refused.
    public var refusedCount = 0
    /// Slots in use when the interval ended.
    public var occupiedCount = 0
    /// The time of the trace when the interval ended, in milliseconds.
    public var milliseconds = 0

    /// Nothing yet.
    public init() {}

    /// Adds what happened afterwards.
    mutating func append(_ next: Interval) {
      requestCount += next.requestCount
      referenceCount += next.referenceCount
      hitCount += next.hitCount
      admittedCount += next.admittedCount
      refusedCount += next.refusedCount
      occupiedCount = next.occupiedCount
      milliseconds = max(milliseconds, next.milliseconds)
    }
  }

  /// The intervals so far, the last of which may be shorter than the others.
  public private(set) var intervals: [Interval] = []
  /// Requests of an interval: a power of two.
  public private(set) var requestsPerInterval = 1

  /// Whether the last interval takes no more requests: the next one begins another.
  var isLastFull: Bool { intervals.last.map { $0.requestCount >= requestsPerInterval } ?? true }

  /// An empty series.
  public init() {}

  /// Adds one request, whose `requestCount` is 1.
  public mutating func add(_ request: Interval) {
    if isLastFull {
      if intervals.count == Limits.intervalCountMax { halve() }
      if isLastFull {
        intervals.append(request)
        return
      }
    }
    intervals[intervals.count - 1].append(request)
  }

  private mutating func halve() {
    var halves: [Interval] = []
    halves.reserveCapacity(intervals.count)
    for (index, interval) in intervals.enumerated() {
      if index.isMultiple(of: 2) { halves.append(interval) } else { halves[index / 2].append(interval) }
    }
    intervals = halves
    requestsPerInterval *= 2
  }
}
