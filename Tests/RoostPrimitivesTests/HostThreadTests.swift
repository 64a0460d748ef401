import Glibc
import RoostPrimitives
import Testing

@Suite struct HostThreadTests {
  /// `sched_getaffinity` and `sched_setaffinity`, which Swift's Glibc leaves out.
  private static func call(_ name: String, _ set: inout cpu_set_t) -> CInt {
    typealias Function = @convention(c) (pid_t, Int, UnsafeMutablePointer<cpu_set_t>) -> CInt
    guard let address = dlsym(nil, name) else { return -1 }
    // A C function's address is its pointer; the type is the manual page's.
    return unsafeBitCast(address, to: Function.self)(0, MemoryLayout<cpu_set_t>.size, &set)
  }

  /// The processors that the calling thread may run on, a bit each.
  private static func processors() -> [UInt8] {
    var set = cpu_set_t()
    let status = call("sched_getaffinity", &set)
    return status == 0 ? withUnsafeBytes(of: set) { Array($0) } : []
  }

  private static let hasSeveral = processors().reduce(0) { $0 + $1.nonzeroBitCount } > 1

  @Test(.enabled(if: hasSeveral, "needs two processors")) func aThreadIsNotBoundToTheProcessorOfWhoStartedIt() throws {
    let before = Self.processors()
    let found = Locked<(bound: [UInt8], started: [UInt8])>(([], []))
    let outer = Box(found)
    try HostThread.start("bound") {
      var one = cpu_set_t()
      withUnsafeMutableBytes(of: &one) { bytes in
        guard let index = before.firstIndex(where: { $0 != 0 }) else { return }
        bytes[index] = before[index] & ~(before[index] - 1)
      }
      _ = Self.call("sched_setaffinity", &one)
      let bound = Self.processors()
      outer.found.withLock { $0.bound = bound }
      try? HostThread.start("started") {
        let started = Self.processors()
        outer.found.withLock { $0.started = started }
      }.join()
    }.join()
    let (bound, started) = outer.found.withLock { ($0.bound, $0.started) }
    #expect(bound.reduce(0) { $0 + $1.nonzeroBitCount } == 1)
    #expect(started == before)
  }

  /// A noncopyable value behind a reference.
  private final class Box: Sendable {
    let found: Locked<(bound: [UInt8], started: [UInt8])>
    init(_ found: consuming Locked<(bound: [UInt8], started: [UInt8])>) { self.found = found }
  }
}
