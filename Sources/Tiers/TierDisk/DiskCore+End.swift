import RoostPrimitives
import RoostStorage

extension DiskCore {
  /// Ends the pages that arrived and were checked.
  func finish(_ arrivals: [Arrival]) {
    for arrival in arrivals {
      guard let flight = board[arrival.flight], let ticket = flight.ticket else { continue }
      unpin(flight.record)
      if arrival.isIntact { table.prove(flight.record) } else { setAside(flight.record) }
      ledger.end(ticket, flight.index, arrival.isIntact ? .done(flight.facts) : .corrupt)
      giveBack(flight)
      board.remove(arrival.flight)
    }
  }

  /// Ends an operation, all but reads that brought their page.
  func end(_ number: Int, _ flight: Flight, _ errorNumber: CInt?) {
    board.remove(number)
    giveBack(flight)
    switch flight.role {
    case .read: endRead(flight, errorNumber ?? DiskErrors.inputOutput)
    case .write: endWrite(flight, errorNumber)
    case .note: endNote(flight, errorNumber)
    case .sync: endSync(flight, errorNumber)
    }
  }

  private func endRead(_ flight: Flight, _ errorNumber: CInt) {
    guard let ticket = flight.ticket else { return }
    unpin(flight.record)
    if DiskErrors.isMedium(errorNumber) { setAside(flight.record) }
    ledger.end(ticket, flight.index, .failed(DiskErrors.error(errorNumber, "read", directory.path)))
  }

  private func endWrite(_ flight: Flight, _ errorNumber: CInt?) {
    guard let ticket = flight.ticket else { return }
    if let errorNumber {
      failWrite(flight, DiskErrors.error(errorNumber, "write", directory.path))
    } else {
      let segment = table.segment(of: flight.record)
      gate.succeeded()
      unsyncedSegments.insert(segment)
      ledger.count { $0.writtenBytes += flight.facts.byteCount }
      if syncs[ticket] == nil {
        publish(flight)
      } else {
        syncs[ticket]?.written.append(flight)
        syncs[ticket]?.segments.insert(segment)
      }
    }
    syncs[ticket]?.unwrittenCount -= 1
    startSync(ticket)
  }

  /// A page is where it should be, as safe as was promised.
  private func publish(_ flight: Flight) {
    guard let ticket = flight.ticket else { return }
    if doomed.remove(flight.record) != nil {
      table.failWrite(flight.record)
      chores.append(flight.record)
      giveUp(flight.replaced)
      ledger.end(ticket, flight.index, .throttled)
      return
    }
    table.endWrite(flight.record)
    giveUp(flight.replaced)
    ledger.end(ticket, flight.index, .done(flight.facts))
  }

  private func failWrite(_ flight: Flight, _ error: RoostError) {
    guard let ticket = flight.ticket else { return }
    table.failWrite(flight.record)
    if doomed.remove(flight.record) != nil { chores.append(flight.record) } else { giveUp(flight.record) }
    giveUp(flight.replaced)
    stopWriting(error)
    ledger.end(ticket, flight.index, .failed(error))
  }

  /// Notes on disk that a leaving slot holds nothing.
  func giveUp(_ record: UInt32?) {
    if let record { enqueue(Flight(role: .note(.removed), ticket: nil, record: record)) }
  }

  /// Stops writing for a while, with one line in the log.
  func stopWriting(_ error: RoostError) {
    guard gate.failed(at: configuration.clock.nanoseconds) else { return }
    ledger.count { $0.writeStopCount += 1 }
    Log.write(.warning, "disk tier: writing stops for a while, reading goes on: \(error)")
  }

  /// Once all pages of a batch are written: makes them durable.
  func startSync(_ ticket: TierTicket) {
    guard let wait = syncs[ticket], wait.unwrittenCount == 0, wait.unsyncedCount == 0 else { return }
    guard !wait.segments.isEmpty else {
      syncs[ticket] = nil
      return
    }
    syncs[ticket]?.unsyncedCount = wait.segments.count
    for segment in wait.segments.sorted() {
      let record = table.record(at: SlotPlace(segment: UInt32(segment), index: 0))
      enqueue(Flight(role: .sync, ticket: ticket, record: record))
    }
  }

  private func endSync(_ flight: Flight, _ errorNumber: CInt?) {
    guard let ticket = flight.ticket, var wait = syncs[ticket] else { return }
    wait.unsyncedCount -= 1
    if let errorNumber, wait.error == nil {
      wait.error = DiskErrors.error(errorNumber, "make durable", directory.path)
    }
    syncs[ticket] = wait
    guard wait.unsyncedCount == 0 else { return }
    syncs[ticket] = nil
    for flight in wait.written {
      if let error = wait.error { failWrite(flight, error) } else { publish(flight) }
    }
  }

  private func endNote(_ flight: Flight, _ errorNumber: CInt?) {
    guard case .note(let state) = flight.role else { return }
    if errorNumber == nil { unsyncedSegments.insert(table.segment(of: flight.record)) }
    // A page that was set aside is out of use whether or not that could be noted.
    if state == .removed {
      if errorNumber == nil { table.endRemoval(flight.record) } else { table.failRemoval(flight.record) }
    }
    if flight.isErasing, let errorNumber {
      forgetError = DiskErrors.error(errorNumber, "overwrite", directory.path)
    }
    guard let ticket = flight.ticket else { return }
    let outcome: PageOutcome =
      errorNumber.map { .failed(DiskErrors.error($0, "remove", directory.path)) } ?? .done(flight.facts)
    ledger.end(ticket, flight.index, outcome)
  }

  /// Sets a page aside, here and on disk, unless somebody has done so already.
  private func setAside(_ record: UInt32) {
    guard table.records[Int(record)].state == .live else { return }
    table.quarantine(record)
    enqueue(Flight(role: .note(.quarantined), ticket: nil, record: record))
  }
}
