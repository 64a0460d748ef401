import Synchronization

/// A value behind a lock, for bodies that work on buffers of their caller.
///
/// `Mutex` asks that nothing inside the lock is connected to what its caller holds, which buffers of answers are by
/// design. Here the promise is the caller's: a body keeps no pointer beyond its end. Thread-safe.
public final class Guarded<Value: ~Copyable>: @unchecked Sendable {
  private let lock = Mutex(())
  /// Says to the thread sanitizer what the lock does; see `Locked`.
  private let turns = Atomic<UInt32>(0)
  private let value: UnsafeMutablePointer<Value>

  /// Takes the value.
  public init(_ value: consuming Value) {
    self.value = .allocate(capacity: 1)
    self.value.initialize(to: value)
  }

  deinit {
    value.deinitialize(count: 1)
    value.deallocate()
  }

  /// Calls `body` with the value while nobody else has it. Not to be called from within `body`.
  public func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lock._unsafeLock()
    let turn = turns.load(ordering: .acquiring)
    defer {
      turns.store(turn &+ 1, ordering: .releasing)
      lock._unsafeUnlock()
    }
    return try body(&value.pointee)
  }
}
