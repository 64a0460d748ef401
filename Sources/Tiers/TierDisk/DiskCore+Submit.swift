import RoostPrimitives
import RoostStorage

extension DiskCore {
  /// Takes a batch in.
  func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    guard !isClosed else { throw RoostError(.lost, "the disk tier is closed") }
    let ticket = try ledger.begin(batch)
    switch batch.verb {
    case .contains:
      for (index, page) in batch.pages.enumerated() {
        ledger.end(ticket, index, readable(page.name).map { .done(table.records[Int($0)].facts) } ?? .missing)
      }
    case .read: read(batch, ticket)
    case .write: write(batch, ticket)
    case .remove: remove(batch, ticket)
    }
    pump()
    return ticket
  }

  func readable(_ name: PageName) -> UInt32? {
    guard isRecovered, let record = table.find(name), table.records[Int(record)].state == .live else { return nil }
    return record
  }

  private func read(_ batch: TierBatch, _ ticket: TierTicket) {
    var pinned: [UInt32] = []
    for (index, page) in batch.pages.enumerated() {
      guard let record = readable(page.name) else {
        ledger.end(ticket, index, .missing)
        continue
      }
      let facts = table.records[Int(record)].facts
      guard page.memory.count >= facts.byteCount else {
        ledger.end(ticket, index, .failed(.pageTooLong(facts.byteCount)))
        continue
      }
      guard waitingCount < Limits.waitingCountMax, table.records[Int(record)].pinCount < .max - 1 else {
        ledger.end(ticket, index, .throttled)
        continue
      }
      var flight = Flight(role: .read, ticket: ticket, index: index, record: record)
      flight.memory = page.memory
      flight.facts = facts
      pinned.append(record)
      // Held at once, so that nothing else in this batch can take its slot.
      table.pin(record)
      enqueue(flight)
    }
    table.reorder(pinned, at: configuration.clock.nanoseconds)
  }

  private func write(_ batch: TierBatch, _ ticket: TierTicket) {
    var begun: [UInt32] = []
    var wishes: [Wish] = []
    // The tail gets the lowest generation: after a restart it is the first to go again.
    let firstGeneration = generation + 1
    generation += UInt64(batch.pages.count)
    for (index, page) in batch.pages.enumerated() {
      let wish = Wish(
        ticket: ticket, index: index, page: page,
        generation: firstGeneration + UInt64(batch.pages.count - 1 - index))
      switch place(wish, behind: wishes.count) {
      case .ended(let outcome): ledger.end(ticket, index, outcome)
      case .slot(let wish, let record): begun.append(begin(wish, record))
      case .wish(let wish): wishes.append(wish)
      }
    }
    begun += grant(wishes)
    table.noteWrites(begun)
    if configuration.sync == .batch, !begun.isEmpty { syncs[ticket] = SyncWait(unwrittenCount: begun.count) }
  }

  /// A page that is to be written.
  private struct Wish {
    let ticket: TierTicket
    let index: Int
    let page: TierPage
    let generation: UInt64
    var key: Key?
    /// The slot of an earlier copy, which is to be given up.
    var replaced: UInt32?
    /// The size whose order decides.
    var orderedSize = 0
  }

  private enum Placing {
    case slot(Wish, UInt32)
    /// An order decides, over the whole batch.
    case wish(Wish)
    case ended(PageOutcome)
  }

  /// Finds a slot for a page that is to be written, unless an order does. So many pages wait for one already.
  private func place(_ wish: Wish, behind wishCount: Int) -> Placing {
    let page = wish.page
    guard page.memory.count == page.facts.byteCount, page.facts.byteCount > 0 else {
      return .ended(.failed(.unequalLength))
    }
    let slotByteCount = SlotSizes.size(for: page.facts.byteCount)
    guard SegmentHeader.slotCount(slotByteCount, segmentByteCount: record.segmentByteCount) > 0 else {
      return .ended(.failed(.pageTooLong(page.facts.byteCount)))
    }
    if let held = table.find(page.name).map({ table.records[Int($0)] }),
      held.state != .live || held.isProven || held.pinCount > 0
    {
      // One that is being written may still fail, so nothing is promised of it; nor of one that is only claimed.
      return .ended(held.state == .live && held.isProven ? .done(held.facts) : .throttled)
    }
    let now = configuration.clock.nanoseconds
    guard isRecovered, waitingCount + wishCount < Limits.waitingCountMax, let key = table.internedKey(of: page.name),
      gate.admits(at: now)
    else { return .ended(.throttled) }
    var wish = wish
    wish.key = key
    if cut(until: 1, slotByteCount) {
      if let size = orderedSize(for: slotByteCount) {
        wish.orderedSize = size
        wish.replaced = giveUpEarlier(page.name)
        return .wish(wish)
      }
      if let slot = slot(of: slotByteCount) {
        // Making room may have evicted the earlier copy itself.
        wish.replaced = giveUpEarlier(page.name)
        return .slot(wish, slot)
      }
    }
    gate.trialEnded(at: now)
    return .ended(.throttled)
  }

  private func giveUpEarlier(_ name: PageName) -> UInt32? {
    let earlier = table.find(name)
    if let earlier { table.beginRemoval(earlier) }
    return earlier
  }

  /// Lets the orders decide over the pages of a batch, size by size, and begins the writes of those they take.
  private func grant(_ wishes: [Wish]) -> [UInt32] {
    var begun: [UInt32] = []
    let now = configuration.clock.nanoseconds
    let sizes = Set(wishes.map(\.orderedSize))
    for size in sizes.sorted() {
      let wishes = wishes.filter { $0.orderedSize == size }
      // Pages that are written anew were not counted by `nextCutting`.
      _ = cut(until: wishes.count, size, sparing: sizes)
      for (wish, placing) in zip(wishes, table.place(wishes.compactMap(\.key), size, at: now)) {
        if case .slot(let record) = placing {
          begun.append(begin(wish, record))
          continue
        }
        if case .refused = placing {
          ledger.end(wish.ticket, wish.index, .refused)
        } else {
          ledger.end(wish.ticket, wish.index, .throttled)
        }
        // Nobody vouches for it, and what would replace it is not worth its place.
        giveUp(wish.replaced)
        gate.trialEnded(at: now)
      }
    }
    return begun
  }

  /// Begins the write of a page to a slot that was taken for it.
  private func begin(_ wish: Wish, _ record: UInt32) -> UInt32 {
    guard let key = wish.key else { return record }
    table.beginWrite(record, key: key, facts: wish.page.facts, generation: wish.generation)
    var flight = Flight(role: .write, ticket: wish.ticket, index: wish.index, record: record)
    flight.replaced = wish.replaced
    flight.memory = wish.page.memory
    flight.facts = wish.page.facts
    enqueue(flight)
    return record
  }

  /// Cuts segments until a size has so many free slots, as far as segments are to be had. False: the drive does not take
  /// it. Few come here with too few: `nextCutting` has looked.
  private func cut(until count: Int, _ slotByteCount: Int, sparing spared: Set<Int> = []) -> Bool {
    while (table.classes[slotByteCount]?.free.count ?? 0) < count,
      let cutting = cutting(for: slotByteCount, sparing: spared)
    {
      do throws(RoostError) {
        try cutting.write()
      } catch {
        finish(cutting, error)
        return false
      }
      finish(cutting, nil)
    }
    return true
  }

  /// Sizes that pages may lie in where their own has no room: up to twice as large.
  private func largerSizes(than slotByteCount: Int) -> [Int] {
    table.classes.keys.filter { $0 > slotByteCount && $0 <= 2 * slotByteCount && !table.isEmpty($0) }.sorted()
  }

  /// The size that has slots for pages of this one, if an order decides there.
  private func orderedSize(for slotByteCount: Int) -> Int? {
    guard table.orderKind != nil else { return nil }
    let size = table.isEmpty(slotByteCount) ? largerSizes(than: slotByteCount).first : slotByteCount
    return size.flatMap { table.orders[$0] == nil ? nil : $0 }
  }

  /// A slot of a size or a larger one: a free one, or another page's.
  private func slot(of slotByteCount: Int) -> UInt32? {
    if let slot = table.takeSlot(slotByteCount) { return slot }
    for larger in largerSizes(than: slotByteCount) {
      if let slot = table.takeSlot(larger) { return slot }
    }
    return nil
  }

  private func remove(_ batch: TierBatch, _ ticket: TierTicket) {
    for (index, page) in batch.pages.enumerated() {
      guard isRecovered, let record = table.find(page.name) else {
        ledger.end(ticket, index, isRecovered ? .done(page.facts) : .throttled)
        continue
      }
      guard table.records[Int(record)].state == .live, table.records[Int(record)].pinCount == 0 else {
        ledger.end(ticket, index, .throttled)
        continue
      }
      var flight = Flight(role: .note(.removed), ticket: ticket, index: index, record: record)
      flight.facts = table.records[Int(record)].facts
      table.beginRemoval(record)
      enqueue(flight)
    }
  }
}
