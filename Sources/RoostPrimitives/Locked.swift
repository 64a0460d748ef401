import CRoostPlatform

/// A value that one thread at a time may touch: `Mutex` with the same rules for what goes in and out, made of a lock that
/// works in a child made by `fork`.
///
/// Swift's own asks the kernel for the lock in the name of the thread number that it cached, which in a forked child is
/// still the parent's: as soon as two threads of the child meet, the process dies. Cost: some ten nanoseconds.
public struct Locked<Value: ~Copyable>: ~Copyable {
  private let word: UnsafeMutablePointer<UInt32>
  private let value: UnsafeMutablePointer<Value>

  /// Puts a value behind a lock.
  public init(_ value: consuming sending Value) {
    word = .allocate(capacity: 1)
    word.initialize(to: 0)
    self.value = .allocate(capacity: 1)
    self.value.initialize(to: value)
  }

  deinit {
    value.deinitialize(count: 1)
    value.deallocate()
    word.deallocate()
  }

  /// Calls `body` with the value, alone. `body` must not come back here on the same lock.
  public borrowing func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    roost_lock_take(word)
    defer { roost_lock_release(word) }
    return try body(&value.pointee)
  }

  /// The same if nobody has the value now; nil, and `body` is not called, if somebody has.
  public borrowing func withLockIfFree<Result, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result? {
    guard roost_lock_try(word) else { return nil }
    defer { roost_lock_release(word) }
    return try body(&value.pointee)
  }
}

// The value is reached through the lock alone, and came in as `sending`.
extension Locked: @unchecked Sendable where Value: ~Copyable {}
