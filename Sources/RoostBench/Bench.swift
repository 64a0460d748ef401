import RoostPrimitives

/// How much a benchmark measures.
public enum BenchScale: String, Sendable, CaseIterable {
  /// Seconds at most, for CI: proves that the benchmark still runs; its figures mean little.
  case smoke
  /// What the documentation quotes.
  case full
}

/// A named workload that measures one part of Roost. A plain value.
public struct Bench: Sendable {
  /// The name on the command line: `transfer`, `index`.
  public let name: String
  /// One line that says what is measured, for `roost bench --help`.
  public let summary: String
  private let body: @Sendable (BenchScale) throws(RoostError) -> [BenchResult]

  /// Names a workload. `body` measures on the calling thread and returns the rows in the order to print them.
  public init(
    name: String, summary: String, body: @escaping @Sendable (BenchScale) throws(RoostError) -> [BenchResult]
  ) {
    self.name = name
    self.summary = summary
    self.body = body
  }

  /// Measures; blocks for seconds (`smoke`) to about a minute (`full`).
  public func run(_ scale: BenchScale) throws(RoostError) -> [BenchResult] { try body(scale) }
}
