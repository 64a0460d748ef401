import Glibc
import RoostPrimitives

/// Takes samples of a piece of work. On a shared machine the speed drifts by tens of percent within seconds, so a
/// ratio is only worth something if both sides were measured within milliseconds of each other: `paired` takes a
/// sample of the limit beside each sample of the work and reports the median of the pair ratios.
public enum Sampling {
  /// Seconds that `body` takes, once.
  public static func seconds(_ body: () throws(RoostError) -> Void) throws(RoostError) -> Double {
    let clock = MonotonicClock()
    let start = clock.nanoseconds
    try body()
    return Double(max(1, clock.nanoseconds &- start)) / 1e9
  }

  /// GB/s (1e9 bytes) of `body`, which moves `byteCount` bytes a call, each sample beside one of `reference`; the
  /// order within the pair alternates. The first call warms up and is not counted.
  public static func paired(
    name: String, byteCount: Int, sampleCount: Int, reference: MemcpyReference, _ body: () throws(RoostError) -> Void
  ) throws(RoostError) -> BenchResult {
    try body()
    var rates: [Double] = []
    var ratios: [Double] = []
    for sample in 0..<max(1, sampleCount) {
      let before = sample % 2 == 0 ? reference.sample() : 0
      let rate = Double(byteCount) / (try seconds(body)) / 1e9
      let beside = sample % 2 == 0 ? before : reference.sample()
      rates.append(rate)
      ratios.append(rate / beside)
    }
    return BenchResult(name: name, unit: "GB/s", samples: rates, reference: reference.name, ratios: ratios)
  }

  /// Time of `body` divided by the `operationCount` operations that one call does, in `unit` (`ns`, `us`, `ms` or
  /// `s`). The first call warms up and is not counted.
  public static func time(
    name: String, unit: String, operationCount: Int, sampleCount: Int, _ body: () throws(RoostError) -> Void
  ) throws(RoostError) -> BenchResult {
    let perSecond: [String: Double] = ["ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1]
    let scale = perSecond[unit] ?? 1
    try body()
    var samples: [Double] = []
    for _ in 0..<max(1, sampleCount) {
      samples.append(try seconds(body) * scale / Double(max(1, operationCount)))
    }
    return BenchResult(name: name, unit: unit, samples: samples)
  }

  /// Operations a second of `body`, in millions (`M/s`). The first call warms up and is not counted.
  public static func millionsPerSecond(
    name: String, operationCount: Int, sampleCount: Int, _ body: () throws(RoostError) -> Void
  ) throws(RoostError) -> BenchResult {
    try body()
    var samples: [Double] = []
    for _ in 0..<max(1, sampleCount) { samples.append(Double(operationCount) / (try seconds(body)) / 1e6) }
    return BenchResult(name: name, unit: "M/s", samples: samples)
  }
}

/// The limit that copies are measured against: one-thread libc `memcpy` of 64 MiB between two populated buffers of
/// ordinary pages. Not thread-safe.
public final class MemcpyReference {
  /// The size of one sample: twice the last-level cache of the machines that Roost was measured on.
  public static let byteCount = 64 << 20
  /// The name in results.
  public let name = "memcpy 64 MiB"

  private let source: UnsafeMutableRawPointer
  private let target: UnsafeMutableRawPointer

  /// Allocates and populates both buffers.
  public init() {
    source = UnsafeMutableRawPointer.allocate(byteCount: MemcpyReference.byteCount, alignment: 4096)
    target = UnsafeMutableRawPointer.allocate(byteCount: MemcpyReference.byteCount, alignment: 4096)
    memset(source, 0x5A, MemcpyReference.byteCount)
    memset(target, 0, MemcpyReference.byteCount)
  }

  deinit {
    source.deallocate()
    target.deallocate()
  }

  /// GB/s (1e9 bytes) of one copy.
  public func sample() -> Double {
    let clock = MonotonicClock()
    let start = clock.nanoseconds
    memcpy(target, source, MemcpyReference.byteCount)
    return Double(MemcpyReference.byteCount) / Double(max(1, clock.nanoseconds &- start))
  }
}
