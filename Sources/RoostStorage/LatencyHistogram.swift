/// Counts of durations in buckets that grow by the square root of two from 1 us on: a quantile is right to within 42 %,
/// in 512 bytes, whatever comes.
public struct LatencyHistogram: Hashable, Sendable {
  private var buckets = [Int](repeating: 0, count: Limits.histogramBucketCount)
  /// How many durations.
  public private(set) var count = 0
  /// Their sum in nanoseconds.
  public private(set) var totalNanoseconds: UInt64 = 0

  /// Nothing yet.
  public init() {}

  /// Adds a duration.
  public mutating func add(nanoseconds: UInt64) {
    buckets[LatencyHistogram.bucket(nanoseconds)] += 1
    count += 1
    totalNanoseconds &+= nanoseconds
  }

  /// The upper end, in nanoseconds, of the bucket with the given share of the durations at or below it; nil if there
  /// are none.
  public func quantile(_ share: Double) -> UInt64? {
    guard count > 0 else { return nil }
    let wanted = max(1, Int((min(1, max(0, share)) * Double(count)).rounded(.up)))
    var seen = 0
    for (index, number) in buckets.enumerated() {
      seen += number
      if seen >= wanted { return LatencyHistogram.end(of: index) }
    }
    return LatencyHistogram.end(of: buckets.count - 1)
  }

  /// The mean in nanoseconds, nil if there is nothing.
  public var meanNanoseconds: Double? { count > 0 ? Double(totalNanoseconds) / Double(count) : nil }

  private static func bucket(_ nanoseconds: UInt64) -> Int {
    let microseconds = Double(nanoseconds) / 1000
    guard microseconds >= 1 else { return 0 }
    // Two buckets an octave: the binary exponent, and whether the fraction is above the square root of two.
    let half = microseconds.significand >= 2.0.squareRoot() ? 1 : 0
    return min(Limits.histogramBucketCount - 1, 2 * Int(microseconds.exponent) + half + 1)
  }

  private static func end(of bucket: Int) -> UInt64 {
    var end = 1000.0
    for _ in 0..<(bucket / 2) { end *= 2 }
    return UInt64(bucket % 2 == 0 ? end : end * 2.0.squareRoot())
  }
}
