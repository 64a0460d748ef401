import RoostPrimitives

/// A call of somebody's library that may never return, on a thread of its own.
public enum SideCall {
  private final class Outcome<Value: Sendable>: Sendable {
    let result = Locked<Result<Value, RoostError>?>(nil)
    let bell = Doorbell()
  }

  /// Makes the call and waits for it. A call that has not returned by the deadline is left alone with its thread: what it
  /// was given must stay as long as the process.
  ///
  /// - Throws: what the call throws, or `timedOut`, which names it.
  public static func run<Value: Sendable>(
    _ what: String, until deadline: Deadline, _ body: @escaping @Sendable () throws(RoostError) -> Value
  ) throws(RoostError) -> Value {
    let outcome = Outcome<Value>()
    try HostThread.start("roost-side") {
      let result: Result<Value, RoostError>
      do throws(RoostError) { result = .success(try body()) } catch { result = .failure(error) }
      outcome.result.withLock { $0 = result }
      outcome.bell.ring()
    }.detach()
    while true {
      let rings = outcome.bell.ringCount
      if let result = outcome.result.withLock({ $0 }) { return try result.get() }
      guard outcome.bell.wait(past: rings, spinNanoseconds: 0, until: deadline) else { break }
    }
    if let result = outcome.result.withLock({ $0 }) { return try result.get() }
    throw RoostError(.timedOut, "\(what) had not returned when the deadline passed; its thread is given up")
  }
}
