import Glibc
import RoostPrimitives

/// Samples the machine's limit while a replay runs: one-thread libc `memcpy` of 64 MiB between populated buffers. Not
/// thread-safe.
final class MemcpyProbe {
  /// The samples so far, in GB/s (1e9 bytes).
  private(set) var samples: [Double] = []

  private let source: UnsafeMutableRawPointer
  private let target: UnsafeMutableRawPointer
  private let clock = MonotonicClock()
  private var due: UInt64 = 0

  init() {
    source = .allocate(byteCount: Limits.memcpyByteCount, alignment: 4096)
    target = .allocate(byteCount: Limits.memcpyByteCount, alignment: 4096)
    memset(source, 0x5A, Limits.memcpyByteCount)
    memset(target, 0, Limits.memcpyByteCount)
  }

  deinit {
    source.deallocate()
    target.deallocate()
  }

  /// Takes a sample if the last one is old enough. Nothing else should run meanwhile.
  func sampleIfDue() {
    let start = clock.nanoseconds
    guard start >= due else { return }
    memcpy(target, source, Limits.memcpyByteCount)
    let end = clock.nanoseconds
    samples.append(Double(Limits.memcpyByteCount) / Double(max(1, end - start)))
    due = end + Limits.memcpyIntervalNanoseconds
  }
}
