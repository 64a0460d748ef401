import RoostPrimitives

/// Gives up on pages whose batch takes too long: they fail with `timedOut`, so that a request goes on without them.
///
/// Their memory is another matter: a stuck drive may still write into it. So the batch is released only when the tier
/// inside has released it, however late, and what the tier says of those pages by then is not reported any more. A
/// write that was given up may have happened. Deadlines are noticed by polling.
public final class Deadlined: Tier {
  private struct Wait {
    var deadline: UInt64
    var isOpen: [Bool]
  }

  private struct State {
    var relay = TierRelay()
    var waits: [TierTicket: Wait] = [:]
    /// No wait has passed before this.
    var earliest = UInt64.max
  }

  private let inner: any Tier
  private let patience: [TierVerb: UInt64]
  private let clock: any Clock
  private let state = Guarded(State())

  /// Wraps a tier. `seconds` is how long a batch of each verb may take.
  public init(
    _ inner: any Tier, seconds: @Sendable (TierVerb) -> Double, clock: any Clock = MonotonicClock()
  ) {
    self.inner = inner
    self.clock = clock
    var patience: [TierVerb: UInt64] = [:]
    for verb in TierVerb.allCases { patience[verb] = UInt64(max(0, seconds(verb)) * 1e9) }
    self.patience = patience
  }

  /// The name of the tier inside.
  public var name: String { inner.name }

  /// Passes the batch on and starts its clock.
  public func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    try state.withLock { (state) throws(RoostError) in
      let ticket = try state.relay.pass(batch, as: batch, to: inner)
      let deadline = clock.nanoseconds &+ (patience[batch.verb] ?? 0)
      state.waits[ticket] = Wait(deadline: deadline, isOpen: Array(repeating: true, count: batch.pages.count))
      state.earliest = min(state.earliest, deadline)
      return ticket
    }
  }

  /// Polls the tier inside, then gives up what is late.
  public func poll(_ max: Int, into events: inout [TierEvent]) {
    state.withLock { state in
      var waits = state.waits
      state.waits = [:]
      state.relay.collect(max, from: inner) { ledger, ticket, index, outcome in
        guard waits[ticket]?.isOpen[index] == true else { return }
        waits[ticket]?.isOpen[index] = false
        ledger.end(ticket, index, outcome)
      } release: { _, ticket in
        waits[ticket] = nil
      }
      state.waits = waits
      giveUp(&state)
      state.relay.ledger.take(max, into: &events)
    }
  }

  private func giveUp(_ state: inout State) {
    let now = clock.nanoseconds
    guard state.earliest <= now else { return }
    var earliest = UInt64.max
    for (ticket, wait) in state.waits {
      guard wait.deadline <= now else {
        earliest = min(earliest, wait.deadline)
        continue
      }
      for index in wait.isOpen.indices where wait.isOpen[index] {
        let error = RoostError(.timedOut, "the tier '\(inner.name)' did not answer in time")
        state.relay.ledger.end(ticket, index, .failed(error))
      }
      state.waits[ticket]?.isOpen = Array(repeating: false, count: wait.isOpen.count)
      // Waits now for the release alone.
      state.waits[ticket]?.deadline = .max
    }
    state.earliest = earliest
  }

  /// Waits for the tier inside, but not past the next deadline.
  public func wait(until deadline: Deadline) -> Bool {
    let (hasEvents, earliest) = state.withLock { ($0.relay.ledger.hasEvents, $0.earliest) }
    if hasEvents { return true }
    return inner.wait(until: min(deadline, Deadline(nanoseconds: earliest))) || clock.nanoseconds >= earliest
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

extension TierUsage {
  /// The same tier with the batches of a decorator around it.
  func seen(through ledger: BatchLedger) -> TierUsage {
    var usage = self
    usage.inFlightCount = ledger.inFlightCount
    usage.counters.submitted = ledger.counters.submitted
    usage.counters.outcomes = ledger.counters.outcomes
    usage.counters.readBytes = ledger.counters.readBytes
    return usage
  }
}
