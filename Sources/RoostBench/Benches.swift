/// The one list of benchmarks, in the order in which `roost bench` runs them.
public enum Benches {
  /// All of them.
  public static let all: [Bench] = [
    LayoutBench.bench,
    IndexBench.bench,
    PolicyBench.bench,
    PoolBench.bench,
    DiskBench.bench,
    PromotionBench.bench,
    CompressionBench.bench,
    .transfer,
    .overhead,
  ]
}
