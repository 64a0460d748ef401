import CRoostPlatform
import Glibc
import Synchronization

/// Lets threads wait for a change that another thread announces: spin for a moment, then sleep.
///
/// A doorbell counts its rings. To wait for a condition: read `ringCount`, check the condition, and if it does not
/// hold, `wait(past:)` that count; repeat. A ring between the check and the wait is not lost. Thread-safe. Ringing
/// costs an atomic addition while nobody sleeps, a system call otherwise.
public final class Doorbell: @unchecked Sendable {
  // Raw memory, because the kernel needs the address of the word. Freed when the last reference goes, and whoever
  // waits or rings holds one.
  private let state: UnsafeMutablePointer<State>
  private let word: UnsafePointer<UInt32>

  private struct State: ~Copyable {
    let rings = Atomic<UInt32>(0)
    /// Whether somebody may sleep. The first ring after that takes it back: the next ones need not wake who is awake,
    /// or is being woken, which takes a hundred times longer than another ring.
    let mayHaveSleepers = Atomic<Bool>(false)
  }

  /// Makes a doorbell that nobody has rung.
  public init() {
    state = .allocate(capacity: 1)
    state.initialize(to: State())
    // `rings` is the first stored property, an atomic 32-bit word in place.
    word = UnsafeRawPointer(state).assumingMemoryBound(to: UInt32.self)
  }

  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
  }

  /// How often it was rung; wraps around.
  public var ringCount: UInt32 { state.pointee.rings.load(ordering: .acquiring) }

  /// Wakes everybody who waits.
  public func ring() {
    // Sequentially consistent on both sides: either this sees the sleeper, or the sleeper sees the new count, also where
    // another ring takes the mark between the sleeper's setting it and its sleep.
    state.pointee.rings.wrappingAdd(1, ordering: .sequentiallyConsistent)
    guard state.pointee.mayHaveSleepers.load(ordering: .sequentiallyConsistent),
      state.pointee.mayHaveSleepers.exchange(false, ordering: .sequentiallyConsistent)
    else { return }
    roost_futex_wake(word, CInt.max)
  }

  /// Waits until the doorbell was rung more often than `count`: spins for `spinNanoseconds`, then sleeps. May also
  /// return early for no reason.
  ///
  /// - Returns: false if `deadline` passed first.
  @discardableResult
  public func wait(past count: UInt32, spinNanoseconds: UInt64, until deadline: Deadline) -> Bool {
    if ringCount != count { return true }
    let clock = MonotonicClock()
    let start = clock.nanoseconds
    let spinEnd = min(start &+ spinNanoseconds, deadline.nanoseconds)
    while clock.nanoseconds < spinEnd {
      for _ in 0..<Doorbell.pausesPerCheck {
        if ringCount != count { return true }
        roost_cpu_relax()
      }
    }
    let now = clock.nanoseconds
    if now >= deadline.nanoseconds { return ringCount != count }
    state.pointee.mayHaveSleepers.store(true, ordering: .sequentiallyConsistent)
    return roost_futex_wait(word, count, deadline.nanoseconds - now) || ringCount != count
  }

  /// Pauses between two looks at the clock: 16 of them take 0.2 to 1 us, so that looking costs little and a deadline
  /// is not overrun.
  private static let pausesPerCheck = 16
}

extension Deadline {
  /// A moment that never comes, for waits that something else bounds.
  public static let never = Deadline(nanoseconds: .max)
}
