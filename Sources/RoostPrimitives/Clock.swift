import Glibc

/// Where time comes from. Injected, so that a simulation can own it.
public protocol Clock: Sendable {
  /// Nanoseconds since an arbitrary start; never goes back.
  var nanoseconds: UInt64 { get }
}

/// The machine's monotonic clock (`CLOCK_MONOTONIC`): not moved by clock steps, comparable between processes.
public struct MonotonicClock: Clock {
  /// Makes a clock; all of them agree.
  public init() {}

  /// Nanoseconds since boot, time asleep left out.
  public var nanoseconds: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}

/// The processor time of the calling thread (`CLOCK_THREAD_CPUTIME_ID`): what work costs on a machine that has other
/// work too. Only differences taken on one thread mean something. A reading is a system call of 0.2 us or so.
public struct ThreadClock: Clock {
  /// Makes a clock.
  public init() {}

  /// Nanoseconds that this thread has run.
  public var nanoseconds: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}

/// A moment on a `Clock` after which a caller no longer waits.
public struct Deadline: Hashable, Comparable, Sendable {
  /// The moment, in the clock's nanoseconds.
  public let nanoseconds: UInt64

  /// A moment on the clock.
  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// `seconds` from now on `clock`.
  public static func after(seconds: Double, on clock: some Clock = MonotonicClock()) -> Deadline {
    Deadline(nanoseconds: clock.nanoseconds &+ UInt64(max(0, seconds) * 1e9))
  }

  /// Whether the moment has come.
  public func hasPassed(on clock: some Clock = MonotonicClock()) -> Bool { clock.nanoseconds >= nanoseconds }

  /// Seconds left, 0 if it has passed.
  public func secondsLeft(on clock: some Clock = MonotonicClock()) -> Double {
    let now = clock.nanoseconds
    return now >= nanoseconds ? 0 : Double(nanoseconds - now) / 1e9
  }

  /// Orders by moment.
  public static func < (left: Deadline, right: Deadline) -> Bool { left.nanoseconds < right.nanoseconds }
}
