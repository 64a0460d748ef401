import RoostPrimitives

/// What a batch asks of a tier.
public enum TierVerb: String, Sendable, CaseIterable {
  /// Whether the tier has the pages. Moves no bytes; a page that is there may still turn out corrupt.
  case contains
  /// Tier to memory.
  case read
  /// Memory to tier.
  case write
  /// Out of the tier, so that not even a restart brings them back.
  case remove
}

/// One page of a batch.
public struct TierPage: @unchecked Sendable {
  // The memory belongs to the tier between `submit` and `.released`; nobody else touches it meanwhile.

  /// The page.
  public var name: PageName
  /// Read: where the page goes, at least as long as the page. Write: the page, as long as its facts say. Empty
  /// otherwise.
  public var memory: UnsafeMutableRawBufferPointer
  /// Write: what the page is. Ignored otherwise: a read gets the facts with its outcome.
  public var facts: PageFacts

  /// A page to look for, or to remove.
  public init(_ name: PageName) {
    self.init(name, memory: UnsafeMutableRawBufferPointer(start: nil, count: 0))
  }

  /// A page to read into `memory`.
  public init(_ name: PageName, memory: UnsafeMutableRawBufferPointer) {
    self.init(name, memory: memory, facts: PageFacts(byteCount: 0, seal: Seal(low: 0, high: 0)))
  }

  /// A page to write from `memory`. The seal was made by whoever owns the bytes, once all its writers had reported.
  public init(_ name: PageName, memory: UnsafeMutableRawBufferPointer, facts: PageFacts) {
    self.name = name
    self.memory = memory
    self.facts = facts
  }
}

/// Some pages, head to tail of a request, and what to do with them.
public struct TierBatch: Sendable {
  /// What to do.
  public var verb: TierVerb
  /// With which pages; at most `TierBatch.pageCountMax`.
  public var pages: [TierPage]

  /// The most pages of one batch.
  public static let pageCountMax = Limits.batchPageCountMax

  /// Makes a batch.
  public init(_ verb: TierVerb, _ pages: [TierPage]) {
    self.verb = verb
    self.pages = pages
  }
}

/// The number of a submitted batch: unique within its tier.
public struct TierTicket: RawRepresentable, Hashable, Sendable {
  /// The number.
  public let rawValue: UInt64
  /// Wraps a number that a tier gave out.
  public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Something that happened to a submitted batch.
///
/// Every page of a batch gets one `.page`, in any order; then the batch gets one `.released`. They are two because of
/// deadlines: a page may be given up long before the drive lets go of its memory.
public enum TierEvent: Sendable {
  /// What became of the page at this place of the batch.
  case page(TierTicket, index: Int, outcome: PageOutcome)
  /// The tier touches none of the batch's memory any more. The last event of a batch.
  case released(TierTicket)
}
