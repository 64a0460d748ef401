/// Durations counted in buckets that grow with them: percentiles within 3 % of any value, in 15 KiB whatever the number
/// of samples. Not thread-safe.
public struct LatencyHistogram: Sendable {
  /// Samples so far.
  public private(set) var count = 0
  /// The longest sample, in nanoseconds.
  public private(set) var maxNanoseconds: UInt64 = 0
  private var buckets = [UInt64](repeating: 0, count: 60 * LatencyHistogram.stepsPerDoubling)

  /// Buckets a doubling: each is 1/32 of its lower bound wide.
  private static let stepsPerDoubling = 32

  /// An empty histogram.
  public init() {}

  /// Counts one sample.
  public mutating func add(nanoseconds: UInt64) {
    count += 1
    maxNanoseconds = max(maxNanoseconds, nanoseconds)
    buckets[LatencyHistogram.bucket(of: nanoseconds)] += 1
  }

  /// A duration, in nanoseconds, that `share` of the samples do not exceed: the upper bound of its bucket; 0 without
  /// samples.
  ///
  /// - Precondition: `share` is from 0 to 1.
  public func percentile(_ share: Double) -> UInt64 {
    precondition(share >= 0 && share <= 1, "a percentile is a share of the samples")
    guard count > 0 else { return 0 }
    let rank = max(1, UInt64((Double(count) * share).rounded(.up)))
    var seen: UInt64 = 0
    for (index, bucket) in buckets.enumerated() {
      seen += bucket
      if seen >= rank { return min(maxNanoseconds, LatencyHistogram.upperBound(of: index)) }
    }
    return maxNanoseconds
  }

  /// Values below 32 have a bucket each; above, the five bits below the highest one choose among 32.
  private static func bucket(of value: UInt64) -> Int {
    guard value >= 32 else { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount
    let step = Int(value >> UInt64(exponent - 5)) - 32
    return (exponent - 4) * stepsPerDoubling + step
  }

  private static func upperBound(of bucket: Int) -> UInt64 {
    guard bucket >= 32 else { return UInt64(bucket) }
    let exponent = UInt64(bucket / stepsPerDoubling + 4)
    let step = UInt64(bucket % stepsPerDoubling + 32)
    let next = (step + 1).multipliedReportingOverflow(by: 1 << (exponent - 5))
    return next.overflow ? .max : next.partialValue - 1
  }
}
