import Foundation

/// How long the seeded tests run. A plain test run does a tenth of what CI's stage `disk` does with `ROOST_SOAK=10`, and
/// that a tenth of `make soak`.
enum Soak {
  /// How many times as much as a plain run.
  static let factor = max(1, ProcessInfo.processInfo.environment["ROOST_SOAK"].flatMap { Int($0) } ?? 1)

  /// The seeds of one of ten parts: a failure names its seed, and the same seed fails the same way.
  static func seeds(_ count: Int, part: UInt64) -> Range<UInt64> {
    let count = UInt64(count * factor)
    return (part * count)..<(part * count + count)
  }
}
