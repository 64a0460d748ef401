import RoostPrimitives

/// Measures a tier from outside: how long the pages of each verb took, from `submit` until their outcome was polled.
/// Bytes and outcomes are in `usage` anyway. Put it outermost to see what callers see.
public final class Observed: Tier {
  private struct State {
    var started: [TierTicket: (verb: TierVerb, time: UInt64)] = [:]
    var latencies: [TierVerb: LatencyHistogram] = [:]
  }

  private let inner: any Tier
  private let clock: any Clock
  private let state = Guarded(State())

  /// Wraps a tier.
  public init(_ inner: any Tier, clock: any Clock = MonotonicClock()) {
    self.inner = inner
    self.clock = clock
  }

  /// The name of the tier inside.
  public var name: String { inner.name }

  /// How long pages took, by verb.
  public var latencies: [TierVerb: LatencyHistogram] { state.withLock { $0.latencies } }

  /// Notes the time and passes the batch on.
  public func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    let now = clock.nanoseconds
    return try state.withLock { (state) throws(RoostError) in
      let ticket = try inner.submit(batch)
      state.started[ticket] = (batch.verb, now)
      return ticket
    }
  }

  /// Polls the tier inside and notes the time again.
  public func poll(_ max: Int, into events: inout [TierEvent]) {
    let first = events.count
    inner.poll(max, into: &events)
    guard events.count > first else { return }
    let now = clock.nanoseconds
    state.withLock { state in
      for event in events[first...] {
        switch event {
        case .page(let ticket, _, _):
          guard let start = state.started[ticket] else { continue }
          state.latencies[start.verb, default: LatencyHistogram()].add(nanoseconds: now &- start.time)
        case .released(let ticket): state.started[ticket] = nil
        }
      }
    }
  }

  /// Waits for the tier inside.
  public func wait(until deadline: Deadline) -> Bool { inner.wait(until: deadline) }

  /// Tells the tier inside.
  public func register(_ memory: UnsafeMutableRawBufferPointer) { inner.register(memory) }

  /// Asks the tier inside.
  public func peek(_ names: [PageName], into found: inout [Bool]) { inner.peek(names, into: &found) }

  /// What the tier inside says.
  public var usage: TierUsage { inner.usage }

  /// Recovers the tier inside.
  public func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport {
    try inner.recover(until: deadline)
  }

  /// Forgets in the tier inside.
  public func forget(_ identity: IdentityDigest) throws(RoostError) -> Int { try inner.forget(identity) }

  /// Drains the tier inside.
  public func drain(until deadline: Deadline) throws(RoostError) { try inner.drain(until: deadline) }

  /// Closes the tier inside.
  public func close(until deadline: Deadline) { inner.close(until: deadline) }
}
