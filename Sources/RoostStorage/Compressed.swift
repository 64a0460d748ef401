import RoostPrimitives

/// Packs pages on their way into a tier and unpacks them on their way out, losslessly; see `PageCodec`. A page that
/// does not get at least a sixteenth smaller is stored as it is. Off unless somebody wraps a tier in it: it trades
/// processor time in `submit` and `poll` for bytes.
///
/// Which pages are packed says their representation, so tiers that were written without it are read with it. The other
/// way round a reader meets a codec that it does not know, which is a miss. `contains` reports facts as they are stored.
public final class Compressed: Tier {
  private struct Flight {
    let batch: TierBatch
    /// Memory of our own a page, which the tier inside works on; empty where it works on the caller's.
    let buffers: [UnsafeMutableRawBufferPointer]
  }

  private struct State {
    var relay = TierRelay()
    var flights: [TierTicket: Flight] = [:]
    var bufferCount = 0
    var statistics = Statistics()
  }

  /// What packing has gained.
  public struct Statistics: Hashable, Sendable {
    /// Bytes of the pages that were packed.
    public var rawBytes = 0
    /// What they became.
    public var packedBytes = 0
    /// Pages stored as they are, since packing did not pay.
    public var plainCount = 0

    /// Nothing yet.
    public init() {}
  }

  private let inner: any Tier
  private let codec: PageCodec
  private let state = Guarded(State())

  /// Wraps a tier. `level` is zstd's: 1 is fast, 3 packs a little more.
  public init(_ inner: any Tier, level: Int = 1) {
    self.inner = inner
    codec = PageCodec(level: level)
  }

  /// The name of the tier inside.
  public var name: String { inner.name }

  /// What packing has gained so far.
  public var statistics: Statistics { state.withLock { $0.statistics } }

  /// Nothing: the tier inside reads into memory that is here for one batch only.
  public func register(_ memory: UnsafeMutableRawBufferPointer) {}

  /// Packs, for a write, and passes the batch on. All of it is throttled while too many pages are under way; a batch
  /// of more pages than that is never taken, so cut requests into smaller ones.
  public func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    try state.withLock { (state) throws(RoostError) in
      guard batch.verb == .read || batch.verb == .write else {
        let ticket = try state.relay.pass(batch, as: batch, to: inner)
        state.flights[ticket] = Flight(batch: batch, buffers: [])
        return ticket
      }
      guard state.bufferCount + batch.pages.count <= Limits.compressedInFlightMax else {
        let ticket = try state.relay.ledger.begin(batch)
        for index in batch.pages.indices { state.relay.ledger.end(ticket, index, .throttled) }
        return ticket
      }
      var inward = batch
      var buffers: [UnsafeMutableRawBufferPointer] = []
      for index in batch.pages.indices {
        buffers.append(prepare(&inward.pages[index], batch.verb, &state.statistics))
      }
      do throws(RoostError) {
        let ticket = try state.relay.pass(batch, as: inward, to: inner)
        state.flights[ticket] = Flight(batch: batch, buffers: buffers)
        state.bufferCount += buffers.count
        return ticket
      } catch {
        for buffer in buffers { buffer.deallocate() }
        throw error
      }
    }
  }

  /// Turns a page into what the tier inside shall work on; returns the memory for that, or empty memory.
  private func prepare(
    _ page: inout TierPage, _ verb: TierVerb, _ statistics: inout Statistics
  ) -> UnsafeMutableRawBufferPointer {
    let none = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    guard page.memory.count > 0, page.memory.count <= Limits.compressedPageBytesMax else { return none }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: page.memory.count, alignment: 4096)
    if verb == .read {
      page.memory = buffer
      return buffer
    }
    let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(page.memory.count / 16 * 15)])
    guard page.facts.representation.codec == .plain, page.memory.count == page.facts.byteCount,
      let count = codec.pack(UnsafeRawBufferPointer(page.memory), seal: page.facts.seal, into: room)
    else {
      statistics.plainCount += 1
      buffer.deallocate()
      return none
    }
    statistics.rawBytes += page.memory.count
    statistics.packedBytes += count
    page.memory = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
    page.facts = PageFacts(
      byteCount: count, seal: Seal(over: UnsafeRawBufferPointer(page.memory)),
      representation: Representation(layout: page.facts.representation.layout, codec: .zstdBytePlanes))
    return buffer
  }

  /// Polls the tier inside and unpacks what was read.
  public func poll(_ max: Int, into events: inout [TierEvent]) {
    state.withLock { state in
      var flights = state.flights
      state.flights = [:]
      var freed = 0
      var rotten: [TierPage] = []
      state.relay.collect(max, from: inner) { ledger, ticket, index, outcome in
        guard let flight = flights[ticket] else { return }
        let told = report(outcome, flight, index)
        if case (.done, .corrupt) = (outcome, told) { rotten.append(TierPage(flight.batch.pages[index].name)) }
        ledger.end(ticket, index, told)
      } release: { _, ticket in
        guard let flight = flights.removeValue(forKey: ticket) else { return }
        for buffer in flight.buffers { buffer.deallocate() }
        freed += flight.buffers.count
      }
      state.flights = flights
      state.bufferCount -= freed
      // Intact as the tier sees it and yet not the page: nobody shall find it again. Best effort: it will only be
      // corrupt once more.
      if !rotten.isEmpty { _ = try? inner.submit(TierBatch(.remove, rotten)) }
      state.relay.ledger.take(max, into: &events)
    }
  }

  /// What the caller is told about a page that the tier inside has ended with.
  private func report(_ outcome: PageOutcome, _ flight: Flight, _ index: Int) -> PageOutcome {
    guard case .done(let facts) = outcome, flight.batch.verb == .read || flight.batch.verb == .write else {
      return outcome
    }
    let page = flight.batch.pages[index]
    if flight.batch.verb == .write { return .done(page.facts) }
    let buffer = flight.buffers[index]
    guard buffer.count > 0 else { return outcome }
    let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<facts.byteCount])
    guard facts.representation.codec == .zstdBytePlanes else {
      page.memory.copyMemory(from: bytes)
      return outcome
    }
    guard let (count, seal) = codec.unpack(bytes, into: page.memory) else { return .corrupt }
    let representation = Representation(layout: facts.representation.layout)
    return .done(PageFacts(byteCount: count, seal: seal, representation: representation))
  }

  /// Waits for the tier inside.
  public func wait(until deadline: Deadline) -> Bool {
    if state.withLock({ $0.relay.ledger.hasEvents }) { return true }
    return inner.wait(until: deadline)
  }

  /// Asks the tier inside.
  public func peek(_ names: [PageName], into found: inout [Bool]) { inner.peek(names, into: &found) }

  /// What the tier inside holds, in packed bytes, and the outcomes as they were reported from here.
  public var usage: TierUsage { state.withLock { inner.usage.seen(through: $0.relay.ledger) } }

  /// Recovers the tier inside.
  public func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport {
    try inner.recover(until: deadline)
  }

  /// Forgets in the tier inside.
  public func forget(_ identity: IdentityDigest) throws(RoostError) -> Int { try inner.forget(identity) }

  /// Drains the tier inside.
  public func drain(until deadline: Deadline) throws(RoostError) { try inner.drain(until: deadline) }

  /// Closes the tier inside, and then frees the memory that it worked on.
  public func close(until deadline: Deadline) {
    inner.close(until: deadline)
    state.withLock { state in
      for flight in state.flights.values {
        for buffer in flight.buffers { buffer.deallocate() }
      }
      state.flights = [:]
    }
  }
}
