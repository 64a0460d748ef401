/// What a tier holds and what it has done since it was opened. A snapshot.
public struct TierUsage: Hashable, Sendable {
  /// Bytes that the tier may take in all, everything of its own included.
  public var capacityBytes = 0
  /// Bytes that it takes of its medium at present, everything of its own included.
  public var occupiedBytes = 0
  /// Pages that can be read.
  public var pageCount = 0
  /// Their bytes.
  public var pageBytes = 0
  /// Pages set aside because they did not match their seal or their place could not be read.
  public var quarantinedCount = 0
  /// Bytes of memory that are registered with what moves the pages, and pinned.
  public var registeredBytes = 0
  /// Pages whose batch is not finished.
  public var inFlightCount = 0
  /// Whether writes are refused at present because the medium failed or is full.
  public var isWriteStopped = false
  /// What it has done.
  public var counters = TierCounters()

  /// An empty tier.
  public init() {}
}

/// Counts of pages and bytes. They only grow; `submitted` = the sum of the outcomes + what is in flight.
public struct TierCounters: Hashable, Sendable {
  /// Pages of batches, by verb.
  public var submitted: [TierVerb: Int] = [:]
  /// Pages with an outcome, by verb and outcome.
  public var outcomes: [TierVerb: [PageOutcome.Kind: Int]] = [:]
  /// Page bytes that were read.
  public var readBytes = 0
  /// Page bytes that were written.
  public var writtenBytes = 0
  /// Pages that went to make room.
  public var evictedCount = 0
  /// Times that writing was stopped because the medium failed or was full.
  public var writeStopCount = 0

  /// Nothing yet.
  public init() {}

  /// Counts a batch.
  public mutating func count(_ batch: TierBatch) { submitted[batch.verb, default: 0] += batch.pages.count }

  /// Counts an outcome.
  public mutating func count(_ outcome: PageOutcome, of verb: TierVerb) {
    outcomes[verb, default: [:]][outcome.kind, default: 0] += 1
    guard case .done(let facts) = outcome else { return }
    if verb == .read { readBytes += facts.byteCount }
  }

  /// Pages of `verb` that ended so.
  public func count(of verb: TierVerb, _ kind: PageOutcome.Kind) -> Int { outcomes[verb]?[kind] ?? 0 }

  /// Pages submitted, whatever the verb.
  public var submittedCount: Int { submitted.values.reduce(0, +) }

  /// Pages with an outcome, whatever the verb.
  public var endedCount: Int { outcomes.values.reduce(0) { $0 + $1.values.reduce(0, +) } }
}
