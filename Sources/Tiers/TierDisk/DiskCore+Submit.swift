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
    table.reorder(pinned)
  }

  private func write(_ batch: TierBatch, _ ticket: TierTicket) {
    var begun: [UInt32] = []
    // The tail gets the lowest generation: after a restart it is the first to go again.
    let firstGeneration = generation + 1
    generation += UInt64(batch.pages.count)
    for (index, page) in batch.pages.enumerated() {
      switch place(page, generation: firstGeneration + UInt64(batch.pages.count - 1 - index)) {
      case .ended(let outcome): ledger.end(ticket, index, outcome)
      case .slot(let record, let replaced):
        var flight = Flight(role: .write, ticket: ticket, index: index, record: record)
        flight.replaced = replaced
        flight.memory = page.memory
        flight.facts = page.facts
        begun.append(record)
        enqueue(flight)
      }
    }
    table.noteWrites(begun)
    if configuration.sync == .batch, !begun.isEmpty { syncs[ticket] = SyncWait(unwrittenCount: begun.count) }
  }

  private enum Placing {
    /// The slot, and that of an earlier copy which is to be given up.
    case slot(UInt32, replacing: UInt32?)
    case ended(PageOutcome)
  }

  /// Finds a slot for a page that is to be written, and gives it to it.
  private func place(_ page: TierPage, generation: UInt64) -> Placing {
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
    guard isRecovered, waitingCount < Limits.waitingCountMax, let key = table.internedKey(of: page.name),
      gate.admits(at: now)
    else { return .ended(.throttled) }
    guard let slot = slot(of: slotByteCount) else {
      gate.trialEnded(at: now)
      return .ended(.throttled)
    }
    // Making room may have evicted the earlier copy itself.
    let replaced = table.find(page.name)
    if let replaced { table.beginRemoval(replaced) }
    table.beginWrite(slot, key: key, facts: page.facts, generation: generation)
    return .slot(slot, replacing: replaced)
  }

  /// A slot of a size: a free one, a segment's that is not cut yet, another page's, one of a segment of other sizes; or,
  /// where no segment of this size is to be had, one that is up to twice as large.
  private func slot(of slotByteCount: Int) -> UInt32? {
    // Few come here without one: `nextCutting` has looked.
    if (table.classes[slotByteCount]?.free.count ?? 0) == 0, let cutting = cutting(for: slotByteCount) {
      do throws(RoostError) {
        try cutting.write()
      } catch {
        finish(cutting, error)
        return nil
      }
      finish(cutting, nil)
    }
    if let slot = table.takeSlot(slotByteCount) { return slot }
    for larger in table.classes.keys.sorted() where larger > slotByteCount && larger <= 2 * slotByteCount {
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
