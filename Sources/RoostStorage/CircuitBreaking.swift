import RoostPrimitives

/// Stops asking a tier that keeps failing, and probes it from time to time until it works again. Meanwhile everything
/// is `throttled` at once: a miss that costs nothing, where a dying server would cost each request a deadline.
///
/// Only `failed` counts as a failure, and not if the caller's input was at fault. Put it around `Deadlined`, so that
/// silence counts too.
public final class CircuitBreaking: Tier {
  private struct State {
    var relay = TierRelay()
    var circuit = CircuitState.initial
    var probe: TierTicket?
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

  /// Where the circuit stands.
  public var circuit: CircuitState { state.withLock { $0.circuit } }

  /// Passes the batch on, or throttles all of it.
  public func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    try state.withLock { (state) throws(RoostError) in
      guard state.circuit.admits(at: clock.nanoseconds) else {
        let ticket = try state.relay.ledger.begin(batch)
        for index in batch.pages.indices { state.relay.ledger.end(ticket, index, .throttled) }
        return ticket
      }
      do throws(RoostError) {
        let ticket = try state.relay.pass(batch, as: batch, to: inner)
        if case .probing = state.circuit { state.probe = ticket }
        return ticket
      } catch {
        state.circuit.probeEnded(at: clock.nanoseconds)
        throw error
      }
    }
  }

  /// Polls the tier inside and learns from what it says.
  public func poll(_ max: Int, into events: inout [TierEvent]) {
    let now = clock.nanoseconds
    state.withLock { state in
      var circuit = state.circuit
      var probe = state.probe
      state.relay.collect(max, from: inner) { ledger, ticket, index, outcome in
        // While it probes, only the probe counts.
        if probe == nil || probe == ticket { CircuitBreaking.learn(outcome, at: now, &circuit) }
        ledger.end(ticket, index, outcome)
      } release: { _, ticket in
        guard probe == ticket else { return }
        probe = nil
        circuit.probeEnded(at: now)
      }
      state.circuit = circuit
      state.probe = probe
      state.relay.ledger.take(max, into: &events)
    }
  }

  private static func learn(_ outcome: PageOutcome, at now: UInt64, _ circuit: inout CircuitState) {
    switch outcome {
    case .done, .missing, .corrupt: circuit.succeeded()
    case .throttled, .refused: break
    case .failed(let error): if error.code != .invalidInput { circuit.failed(at: now) }
    }
  }

  /// Waits for the tier inside.
  public func wait(until deadline: Deadline) -> Bool {
    if state.withLock({ $0.relay.ledger.hasEvents }) { return true }
    return inner.wait(until: deadline)
  }

  /// Tells the tier inside.
  public func register(_ memory: UnsafeMutableRawBufferPointer) { inner.register(memory) }

  /// Asks the tier inside.
  public func peek(_ names: [PageName], into found: inout [Bool]) { inner.peek(names, into: &found) }

  /// What the tier inside holds, and the outcomes as they were reported from here.
  public var usage: TierUsage { state.withLock { inner.usage.seen(through: $0.relay.ledger) } }

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
