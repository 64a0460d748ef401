import Glibc
import RoostPrimitives

/// Spreads pages over several tiers in proportion to their capacity: several drives that look like one.
///
/// A page's place follows from its name alone, by weighted rendezvous hashing: no table has to be kept, and when a tier
/// comes, goes or changes its size, only that tier's share of the pages moves, which are misses where they are. What a
/// tier is called decides, not its place in the list. A tier that does not recover is logged and left out: its pages
/// are misses, the others go on.
public final class Striped: Tier {
  /// One of the tiers.
  public struct Stripe: Sendable {
    let tier: any Tier
    let weight: Double
    let seed: UInt64

    /// `label` is what the tier is known by from one start to the next, such as its directory.
    public init(_ tier: any Tier, label: String, capacity: ByteCount) {
      self.tier = tier
      weight = Double(max(1, capacity.bytes))
      seed = label.utf8.reduce(UInt64(label.utf8.count)) { SplitMix64.mix(($0 &+ UInt64($1)) &* 0x9E37_79B9_7F4A_7C15) }
    }
  }

  /// A batch of one stripe that stands for some pages of a batch of ours.
  private struct Part {
    let ticket: TierTicket
    let indices: [Int]
  }

  private struct State {
    var ledger = BatchLedger()
    /// By stripe.
    var parts: [[TierTicket: Part]]
    /// Parts that have not been released, by batch.
    var openCounts: [TierTicket: Int] = [:]
    var unrecovered: Set<Int> = []
    var isClosed = false
  }

  private let stripes: [Stripe]
  private let state: Guarded<State>

  /// What the stripes are called.
  public var name: String { stripes[0].tier.name }

  /// Takes at least one stripe.
  public init(_ stripes: [Stripe]) {
    precondition(!stripes.isEmpty, "nothing to stripe over")
    self.stripes = stripes
    state = Guarded(State(parts: Array(repeating: [:], count: stripes.count)))
  }

  /// The stripe of a page: the one with the highest weight / -ln(u), u being uniform in 0..<1 by page and stripe.
  func stripe(of name: PageName) -> Int {
    let page = name.words.0 ^ SplitMix64.mix(name.words.1 &+ UInt64(name.group))
    var best = (index: 0, score: -1.0)
    for (index, stripe) in stripes.enumerated() {
      let bits = SplitMix64.mix(page ^ stripe.seed)
      let uniform = (Double(bits >> 11) + 0.5) * 0x1p-53
      let score = stripe.weight / -log(uniform)
      if score > best.score { best = (index, score) }
    }
    return best.index
  }

  /// Tells every stripe: any of them may have any page.
  public func register(_ memory: UnsafeMutableRawBufferPointer) {
    for stripe in stripes { stripe.tier.register(memory) }
  }

  /// Gives each stripe its pages of the batch.
  public func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    try state.withLock { (state) throws(RoostError) in
      guard !state.isClosed else { throw RoostError(.lost, "the tier is closed") }
      let ticket = try state.ledger.beginHeld(batch)
      var indices = Array(repeating: [Int](), count: stripes.count)
      for (index, page) in batch.pages.enumerated() { indices[stripe(of: page.name)].append(index) }
      var openCount = 0
      for (number, indices) in indices.enumerated() where !indices.isEmpty {
        do throws(RoostError) {
          let inner = try stripes[number].tier.submit(TierBatch(batch.verb, indices.map { batch.pages[$0] }))
          state.parts[number][inner] = Part(ticket: ticket, indices: indices)
          openCount += 1
        } catch {
          for index in indices { state.ledger.end(ticket, index, .failed(error)) }
        }
      }
      state.openCounts[ticket] = openCount
      Striped.releaseIfDone(ticket, &state)
      return ticket
    }
  }

  private static func releaseIfDone(_ ticket: TierTicket, _ state: inout State) {
    guard state.openCounts[ticket] == 0 else { return }
    state.openCounts[ticket] = nil
    state.ledger.release(ticket)
  }

  /// Polls every stripe.
  public func poll(_ max: Int, into events: inout [TierEvent]) {
    state.withLock { state in
      for (number, stripe) in stripes.enumerated() {
        var inner: [TierEvent] = []
        stripe.tier.poll(max, into: &inner)
        for event in inner {
          switch event {
          case .page(let ticket, let index, let outcome):
            guard let part = state.parts[number][ticket] else { continue }
            state.ledger.end(part.ticket, part.indices[index], outcome)
          case .released(let ticket):
            guard let part = state.parts[number].removeValue(forKey: ticket) else { continue }
            state.openCounts[part.ticket, default: 1] -= 1
            Striped.releaseIfDone(part.ticket, &state)
          }
        }
      }
      state.ledger.take(max, into: &events)
    }
  }

  /// Waits for the stripes that have something to do: for one as long as it takes, for several in turns of 1 ms.
  public func wait(until deadline: Deadline) -> Bool {
    let (hasEvents, busy) = state.withLock { state in
      (state.ledger.hasEvents, stripes.indices.filter { !state.parts[$0].isEmpty })
    }
    if hasEvents { return true }
    guard busy.count > 1 else { return stripes[busy.first ?? 0].tier.wait(until: deadline) }
    while true {
      for number in busy {
        if stripes[number].tier.wait(until: min(deadline, .after(seconds: 0.001))) { return true }
      }
      if deadline.hasPassed() { return false }
    }
  }

  /// All stripes together. Writing counts as stopped if any of them has stopped it.
  public var usage: TierUsage {
    var sum = TierUsage()
    for stripe in stripes {
      let usage = stripe.tier.usage
      sum.capacityBytes += usage.capacityBytes
      sum.occupiedBytes += usage.occupiedBytes
      sum.pageCount += usage.pageCount
      sum.pageBytes += usage.pageBytes
      sum.quarantinedCount += usage.quarantinedCount
      // The same memory for each.
      sum.registeredBytes = max(sum.registeredBytes, usage.registeredBytes)
      sum.isWriteStopped = sum.isWriteStopped || usage.isWriteStopped
      sum.counters.writtenBytes += usage.counters.writtenBytes
      sum.counters.evictedCount += usage.counters.evictedCount
      sum.counters.writeStopCount += usage.counters.writeStopCount
    }
    return state.withLock { sum.seen(through: $0.ledger) }
  }

  /// Recovers one stripe after the other.
  ///
  /// - Throws: the first error, if no stripe recovers.
  public func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport {
    var sum = RecoveryReport()
    sum.usedSnapshot = true
    var failures: [(number: Int, error: RoostError)] = []
    for (number, stripe) in stripes.enumerated() {
      do throws(RoostError) {
        let report = try stripe.tier.recover(until: deadline)
        sum.pageCount += report.pageCount
        sum.byteCount += report.byteCount
        // The stripes have the same identities, but for a few that are new.
        sum.identityCount = max(sum.identityCount, report.identityCount)
        sum.damagedCount += report.damagedCount
        sum.quarantinedCount += report.quarantinedCount
        sum.usedSnapshot = sum.usedSnapshot && report.usedSnapshot
        sum.seconds += report.seconds
      } catch {
        failures.append((number, error))
      }
    }
    if failures.count == stripes.count { throw failures[0].error }
    for failure in failures { Log.write(.warning, "tier '\(name)': a stripe is left out: \(failure.error)") }
    state.withLock { $0.unrecovered = Set(failures.map(\.number)) }
    return sum
  }

  /// Forgets in every stripe; what one of them throws comes after the others have forgotten.
  public func forget(_ identity: IdentityDigest) throws(RoostError) -> Int {
    var count = 0
    try each { (tier) throws(RoostError) in count += try tier.forget(identity) }
    return count
  }

  /// Drains every stripe that has recovered.
  public func drain(until deadline: Deadline) throws(RoostError) {
    let left = state.withLock { $0.unrecovered }
    try each(except: left) { (tier) throws(RoostError) in try tier.drain(until: deadline) }
  }

  private func each(except left: Set<Int> = [], _ body: (any Tier) throws(RoostError) -> Void) throws(RoostError) {
    var first: RoostError?
    for (number, stripe) in stripes.enumerated() where !left.contains(number) {
      do throws(RoostError) { try body(stripe.tier) } catch { first = first ?? error }
    }
    if let first { throw first }
  }

  /// Closes every stripe.
  public func close(until deadline: Deadline) {
    state.withLock { $0.isClosed = true }
    for stripe in stripes { stripe.tier.close(until: deadline) }
  }
}
