import RoostPrimitives

/// What decorators that answer for the tier inside have in common: batches with numbers of their own, some of them
/// passed on. Not thread-safe: the decorator holds its lock, and so also around `submit`, lest a poller meets a ticket
/// that is not entered yet.
struct TierRelay {
  /// The decorator's own batches.
  var ledger = BatchLedger()
  private var outer: [TierTicket: TierTicket] = [:]

  /// Passes `inward` on as `batch`. Both have the same number of pages.
  mutating func pass(_ batch: TierBatch, as inward: TierBatch, to tier: any Tier) throws(RoostError) -> TierTicket {
    let inner = try tier.submit(inward)
    let ticket = try ledger.beginHeld(batch)
    outer[inner] = ticket
    return ticket
  }

  /// Takes what has happened inside. Each outcome is shown to `page`; each batch that inside has let go of to
  /// `release`, and is released after it.
  mutating func collect(
    _ max: Int, from tier: any Tier, page: (inout BatchLedger, TierTicket, Int, PageOutcome) -> Void,
    release: (inout BatchLedger, TierTicket) -> Void = { _, _ in }
  ) {
    var events: [TierEvent] = []
    tier.poll(max, into: &events)
    for event in events {
      switch event {
      case .page(let inner, let index, let outcome):
        if let ticket = outer[inner] { page(&ledger, ticket, index, outcome) }
      case .released(let inner):
        guard let ticket = outer.removeValue(forKey: inner) else { continue }
        release(&ledger, ticket)
        ledger.release(ticket)
      }
    }
  }
}
