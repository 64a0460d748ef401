/// One measured figure with its spread and, where there is one, its ratio to a limit measured beside it.
public struct BenchResult: Sendable, Hashable {
  /// What was measured: `store/64KiB`.
  public var name: String
  /// The median of the samples, in `unit`.
  public var median: Double
  /// The smallest sample, in `unit`.
  public var min: Double
  /// The largest sample, in `unit`.
  public var max: Double
  /// The unit: `GB/s` (1e9 bytes), `ns`, `us`, `M/s`, `ms`.
  public var unit: String
  /// The limit that `ratio` refers to, such as `memcpy 64 MiB`, or a required figure, or empty.
  public var reference: String
  /// The median over the samples of sample / reference sample taken beside it; nil without a reference.
  public var ratio: Double?

  /// Wraps figures that were computed elsewhere.
  public init(
    name: String, median: Double, min: Double, max: Double, unit: String, reference: String = "", ratio: Double? = nil
  ) {
    self.name = name
    self.median = median
    self.min = min
    self.max = max
    self.unit = unit
    self.reference = reference
    self.ratio = ratio
  }

  /// Summarises samples.
  ///
  /// - Precondition: `samples` is not empty; `ratios`, if given, has one entry a sample.
  public init(name: String, unit: String, samples: [Double], reference: String = "", ratios: [Double]? = nil) {
    precondition(!samples.isEmpty, "a result needs at least one sample")
    let sorted = samples.sorted()
    self.init(
      name: name, median: sorted.medianOfSorted, min: sorted[0], max: sorted[sorted.count - 1], unit: unit,
      reference: reference, ratio: ratios.map { $0.sorted().medianOfSorted })
  }
}

extension [Double] {
  /// The middle element, or the mean of the two middle ones.
  fileprivate var medianOfSorted: Double {
    count % 2 == 1 ? self[count / 2] : (self[count / 2 - 1] + self[count / 2]) / 2
  }
}
