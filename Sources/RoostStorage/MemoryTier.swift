import RoostPrimitives

/// A tier in the memory of this process: what a tier must do, in its simplest form. For tests, and as a stand-in where
/// a tier is wanted and nothing is to be kept. Every batch ends within `submit`. The page written first goes first.
public final class MemoryTier: Tier {
  private struct Page {
    let facts: PageFacts
    var bytes: [UInt8]
    let age: UInt64
  }

  private struct State {
    var ledger = BatchLedger()
    var pages: [PageName: Page] = [:]
    var pageBytes = 0
    var clock: UInt64 = 0
    var isRecovered = false
    var isClosed = false
  }

  private let capacityBytes: Int
  private let state = Guarded(State())

  /// `memory`.
  public let name = "memory"

  /// Makes a tier for `capacity` bytes of pages.
  public init(capacity: ByteCount) { capacityBytes = capacity.bytes }

  /// Does the whole batch.
  public func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    try state.withLock { (state) throws(RoostError) in
      guard !state.isClosed else { throw RoostError(.lost, "the tier is closed") }
      let ticket = try state.ledger.begin(batch)
      for (index, page) in batch.pages.enumerated() {
        state.ledger.end(ticket, index, outcome(of: batch.verb, page, &state))
      }
      return ticket
    }
  }

  private func outcome(of verb: TierVerb, _ page: TierPage, _ state: inout State) -> PageOutcome {
    switch verb {
    case .contains: return state.pages[page.name].map { .done($0.facts) } ?? .missing
    case .read: return read(page, &state)
    case .write: return write(page, &state)
    case .remove:
      drop(page.name, &state)
      return .done(page.facts)
    }
  }

  private func read(_ page: TierPage, _ state: inout State) -> PageOutcome {
    guard let stored = state.pages[page.name] else { return .missing }
    guard page.memory.count >= stored.bytes.count else { return .failed(.pageTooLong(stored.bytes.count)) }
    page.memory.copyBytes(from: stored.bytes)
    let seal = Seal(over: UnsafeRawBufferPointer(rebasing: page.memory[..<stored.bytes.count]))
    guard seal == stored.facts.seal else {
      drop(page.name, &state)
      return .corrupt
    }
    return .done(stored.facts)
  }

  private func write(_ page: TierPage, _ state: inout State) -> PageOutcome {
    guard state.isRecovered else { return .throttled }
    if let stored = state.pages[page.name] { return .done(stored.facts) }
    guard page.memory.count == page.facts.byteCount, page.memory.count > 0 else { return .failed(.unequalLength) }
    guard page.memory.count <= capacityBytes else { return .failed(.pageTooLong(page.memory.count)) }
    while state.pageBytes + page.memory.count > capacityBytes {
      guard let oldest = state.pages.min(by: { $0.value.age < $1.value.age }) else { return .throttled }
      drop(oldest.key, &state)
      state.ledger.count { $0.evictedCount += 1 }
    }
    state.clock += 1
    state.pages[page.name] = Page(facts: page.facts, bytes: Array(page.memory), age: state.clock)
    state.pageBytes += page.memory.count
    state.ledger.count { $0.writtenBytes += page.memory.count }
    return .done(page.facts)
  }

  private func drop(_ name: PageName, _ state: inout State) {
    if let page = state.pages.removeValue(forKey: name) { state.pageBytes -= page.bytes.count }
  }

  /// Hands out events; there is nothing to move on.
  public func poll(_ max: Int, into events: inout [TierEvent]) {
    state.withLock { $0.ledger.take(max, into: &events) }
  }

  /// Whether there are events. Nothing else ever makes one, so this does not sleep.
  public func wait(until deadline: Deadline) -> Bool { state.withLock { $0.ledger.hasEvents } }

  /// Says what is there.
  public func peek(_ names: [PageName], into found: inout [Bool]) {
    state.withLock { state in found = names.map { state.pages[$0] != nil } }
  }

  /// What is held.
  public var usage: TierUsage {
    state.withLock { state in
      var usage = TierUsage()
      usage.capacityBytes = capacityBytes
      usage.occupiedBytes = state.pageBytes
      usage.pageCount = state.pages.count
      usage.pageBytes = state.pageBytes
      usage.inFlightCount = state.ledger.inFlightCount
      usage.counters = state.ledger.counters
      return usage
    }
  }

  /// Finds nothing.
  public func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport {
    state.withLock { $0.isRecovered = true }
    return RecoveryReport()
  }

  /// Drops the pages of an identity.
  public func forget(_ identity: IdentityDigest) throws(RoostError) -> Int {
    try state.withLock { (state) throws(RoostError) in
      guard !state.isClosed else { throw RoostError(.lost, "the tier is closed") }
      guard state.isRecovered else { throw .notRecovered }
      let gone = state.pages.keys.filter { $0.identity == identity }
      for name in gone { drop(name, &state) }
      return gone.count
    }
  }

  /// Nothing is ever under way.
  public func drain(until deadline: Deadline) throws(RoostError) {}

  /// Forgets everything.
  public func close(until deadline: Deadline) {
    state.withLock { state in
      state.isClosed = true
      state.pages = [:]
      state.pageBytes = 0
    }
  }

  /// Damages the stored bytes of a page, for tests of what is above. False if it is not there.
  public func damage(_ name: PageName) -> Bool {
    state.withLock { state in
      guard state.pages[name] != nil else { return false }
      state.pages[name]?.bytes[0] ^= 1
      return true
    }
  }
}

extension RoostError {
  /// A page does not fit where it should go.
  public static func pageTooLong(_ byteCount: Int) -> RoostError {
    RoostError(.invalidInput, "the page is longer than its place", context: [("bytes", "\(byteCount)")])
  }

  /// A tier was asked for what only recovery tells.
  public static var notRecovered: RoostError {
    RoostError(.invalidInput, "a tier must recover before anything in it can be forgotten")
  }

  /// The memory of a page that is to be written has another length than its facts say.
  public static var unequalLength: RoostError {
    RoostError(.invalidInput, "the memory of a page must be as long as the page, and not empty")
  }
}
