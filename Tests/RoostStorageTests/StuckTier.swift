import RoostPrimitives
import RoostStorage

/// A tier whose batches end when the test says so.
final class StuckTier: Tier {
  private let state = Guarded((ledger: BatchLedger(), batches: [TierTicket: TierBatch](), order: [TierTicket]()))
  let name = "stuck"

  func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    try state.withLock { (state) throws(RoostError) in
      let ticket = try state.ledger.beginHeld(batch)
      state.batches[ticket] = batch
      state.order.append(ticket)
      return ticket
    }
  }

  /// Batches that have not ended.
  var batches: [TierBatch] { state.withLock { state in state.order.compactMap { state.batches[$0] } } }

  /// Ends the oldest batch, all pages alike.
  func end(_ outcome: (TierPage) -> PageOutcome) {
    state.withLock { state in
      let ticket = state.order.removeFirst()
      let pages = state.batches.removeValue(forKey: ticket)?.pages ?? []
      for (index, page) in pages.enumerated() { state.ledger.end(ticket, index, outcome(page)) }
      state.ledger.release(ticket)
    }
  }

  func poll(_ max: Int, into events: inout [TierEvent]) { state.withLock { $0.ledger.take(max, into: &events) } }
  func wait(until deadline: Deadline) -> Bool { state.withLock { $0.ledger.hasEvents } }
  var usage: TierUsage { TierUsage() }
  func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport { RecoveryReport() }
  func forget(_ identity: IdentityDigest) throws(RoostError) -> Int { 0 }
  func drain(until deadline: Deadline) throws(RoostError) {}
  func close(until deadline: Deadline) {}
}

/// A clock that the test moves.
final class HandClock: Clock {
  private let time = Guarded<UInt64>(1_000_000_000)
  var nanoseconds: UInt64 { time.withLock { $0 } }
  func advance(seconds: Double) { time.withLock { $0 += UInt64(seconds * 1e9) } }
}

/// A page with memory of its own, which is kept until the process ends: a tier reads it after the test's last mention of
/// the sheet.
final class Sheet {
  let memory: UnsafeMutableRawBufferPointer
  let name: PageName

  init(_ seed: UInt64, byteCount: Int, _ byte: (Int) -> UInt8) {
    memory = .allocate(byteCount: byteCount, alignment: 4096)
    for index in 0..<byteCount { memory[index] = byte(index) }
    let key = Key(identity: IdentityID(rawValue: 0), group: 1, words: (SplitMix64.mix(seed), seed, 3, 4))
    name = PageName(key, identity: IdentityDigest(words: (seed % 3, 2, 3, 4)))
  }

  /// Noise that nothing packs.
  convenience init(_ seed: UInt64, byteCount: Int = 4096) {
    self.init(seed, byteCount: byteCount) { UInt8(truncatingIfNeeded: SplitMix64.mix(seed &* 7919 &+ UInt64($0))) }
  }

  var bytes: [UInt8] { Array(memory) }
  var facts: PageFacts { PageFacts(byteCount: memory.count, seal: Seal(over: UnsafeRawBufferPointer(memory))) }
  var forWriting: TierPage { TierPage(name, memory: memory, facts: facts) }
  var forReading: TierPage { TierPage(name, memory: memory) }
}

extension Tier {
  /// Submits, and polls until the batch is released. Needs a tier that ends by itself.
  func outcomes(_ verb: TierVerb, _ pages: [TierPage]) throws -> [PageOutcome] {
    let ticket = try submit(TierBatch(verb, pages))
    var outcomes = [PageOutcome?](repeating: nil, count: pages.count)
    let deadline = Deadline.after(seconds: 30)
    while !deadline.hasPassed() {
      var events: [TierEvent] = []
      poll(7, into: &events)
      for event in events {
        switch event {
        case .page(ticket, let index, let outcome): outcomes[index] = outcome
        case .released(ticket): return outcomes.compactMap { $0 }
        default: break
        }
      }
    }
    throw RoostError(.timedOut, "the batch does not end")
  }

  /// The events that are there now, as words.
  var eventWords: [String] {
    var events: [TierEvent] = []
    poll(1000, into: &events)
    return events.map { event in
      switch event {
      case .page(_, let index, let outcome): "\(index) \(outcome.kind.rawValue)"
      case .released: "released"
      }
    }
  }
}
