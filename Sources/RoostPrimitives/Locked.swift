import Synchronization

/// A value that one thread at a time may touch: `Mutex`, made visible to the thread sanitizer.
///
/// Where threads meet, `Mutex` locks and unlocks inside the Synchronization library, which is built without the
/// sanitizer: it then sees two threads in the value and nothing between them, and reports a race. So each turn here ends
/// with a releasing store and begins with an acquiring load of the same word, which is all the order that the lock
/// gives, said in a way that the sanitizer understands. Cost: about a nanosecond.
public struct Locked<Value: ~Copyable>: ~Copyable {
  private let mutex: Mutex<Value>
  private let turns = Atomic<UInt32>(0)

  /// Puts a value behind a lock.
  public init(_ value: consuming sending Value) { mutex = Mutex(value) }

  /// Calls `body` with the value, alone. `body` must not come back here on the same lock.
  public borrowing func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    try mutex.withLock { (value: inout sending Value) throws(Failure) -> sending Result in
      let turn = turns.load(ordering: .acquiring)
      defer { turns.store(turn &+ 1, ordering: .releasing) }
      return try body(&value)
    }
  }
}

extension Locked: Sendable where Value: ~Copyable {}
