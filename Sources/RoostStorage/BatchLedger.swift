import RoostPrimitives

/// Keeps count of submitted batches: which pages still have no outcome, and the events that nobody has polled yet.
/// What every tier and decorator needs for its promise that each page gets one outcome and each batch one release.
/// Pure; not thread-safe.
public struct BatchLedger: Sendable {
  private struct Entry {
    let verb: TierVerb
    var missing: Int
    /// Whether somebody below still has the memory.
    var isHeld: Bool
  }

  private var entries: [TierTicket: Entry] = [:]
  private var events: [TierEvent] = []
  private var next: UInt64 = 1
  /// What was submitted and how it ended.
  public private(set) var counters = TierCounters()

  /// An empty ledger.
  public init() {}

  /// Pages whose outcome is not known yet.
  public private(set) var inFlightCount = 0

  /// Whether nobody waits for anything: all batches have ended and all events were taken.
  public var isIdle: Bool { entries.isEmpty && events.isEmpty }

  /// Whether there are events to take.
  public var hasEvents: Bool { !events.isEmpty }

  /// Enters a batch that is released with its last outcome; one without pages at once.
  ///
  /// - Throws: `invalidInput` if it is too long.
  public mutating func begin(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    let ticket = try enter(batch, isHeld: false)
    releaseIfDone(ticket)
    return ticket
  }

  /// Enters a batch that also waits for `release`.
  ///
  /// - Throws: `invalidInput` if it is too long.
  public mutating func beginHeld(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    try enter(batch, isHeld: true)
  }

  /// Enters the outcome of a page.
  public mutating func end(_ ticket: TierTicket, _ index: Int, _ outcome: PageOutcome) {
    guard var entry = entries[ticket], entry.missing > 0 else {
      preconditionFailure("an outcome for a batch that has ended")
    }
    counters.count(outcome, of: entry.verb)
    inFlightCount -= 1
    entry.missing -= 1
    events.append(.page(ticket, index: index, outcome: outcome))
    entries[ticket] = entry
    if entry.missing == 0 { releaseIfDone(ticket) }
  }

  /// Says that nobody below has the memory of a held batch any more.
  public mutating func release(_ ticket: TierTicket) {
    entries[ticket]?.isHeld = false
    releaseIfDone(ticket)
  }

  private mutating func enter(_ batch: TierBatch, isHeld: Bool) throws(RoostError) -> TierTicket {
    guard batch.pages.count <= Limits.batchPageCountMax else {
      throw RoostError(
        .invalidInput, "a batch has at most \(Limits.batchPageCountMax) pages",
        context: [("pages", "\(batch.pages.count)")])
    }
    let ticket = TierTicket(rawValue: next)
    next += 1
    counters.count(batch)
    inFlightCount += batch.pages.count
    entries[ticket] = Entry(verb: batch.verb, missing: batch.pages.count, isHeld: isHeld)
    return ticket
  }

  private mutating func releaseIfDone(_ ticket: TierTicket) {
    guard let entry = entries[ticket], entry.missing == 0, !entry.isHeld else { return }
    entries[ticket] = nil
    events.append(.released(ticket))
  }

  /// Takes up to `max` events, oldest first.
  public mutating func take(_ max: Int, into taken: inout [TierEvent]) {
    let count = min(max, events.count)
    taken.append(contentsOf: events.prefix(count))
    events.removeFirst(count)
  }

  /// Changes the counters that the ledger itself knows nothing about.
  public mutating func count(_ change: (inout TierCounters) -> Void) { change(&counters) }
}
