import CRoostPlatform

/// A value behind a lock, for bodies that work on buffers of their caller.
///
/// `Locked` asks that nothing inside the lock is connected to what its caller holds, which buffers of answers are by
/// design. Here the promise is the caller's: a body keeps no pointer beyond its end. Thread-safe.
public final class Guarded<Value: ~Copyable>: @unchecked Sendable {
  private let word: UnsafeMutablePointer<UInt32>
  private let value: UnsafeMutablePointer<Value>

  /// Takes the value.
  public init(_ value: consuming Value) {
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

  /// Calls `body` with the value while nobody else has it. Not to be called from within `body`.
  public func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    roost_lock_take(word)
    defer { roost_lock_release(word) }
    return try body(&value.pointee)
  }
}
