import RoostPrimitives
import RoostStorage

extension DiskCore {
  /// Takes all pages of an identity out of sight. Their headers get a note and their bytes zeros, behind.
  func forget(_ identity: IdentityDigest) throws(RoostError) -> Int {
    guard !isClosed else { throw RoostError(.lost, "the disk tier is closed") }
    guard isRecovered else { throw .notRecovered }
    guard let id = table.identities.id(of: identity) else { return 0 }
    var count = 0
    for record in table.records(of: id) where !doomed.contains(record) {
      count += 1
      let page = table.records[Int(record)]
      guard page.state == .live else {
        doomed.insert(record)
        continue
      }
      table.beginRemoval(record)
      if page.pinCount > 0 { doomed.insert(record) } else { chores.append(record) }
    }
    table.forgetInOrders(id)
    pump()
    return count
  }

  /// A note over a page that was forgotten, and zeros over its bytes.
  func erasure(of record: UInt32) -> Flight {
    var flight = Flight(role: .note(.removed), ticket: nil, record: record)
    flight.facts = table.records[Int(record)].facts
    flight.isErasing = true
    flight.bounce = AlignedMemory(byteCount: SlotSizes.granules(flight.facts.byteCount))
    return flight
  }

  /// Ends a read of a page; the last one of a forgotten page leaves it to be overwritten.
  func unpin(_ record: UInt32) {
    table.unpin(record)
    if table.records[Int(record)].pinCount == 0, doomed.remove(record) != nil { chores.append(record) }
  }

  /// Why not everything that was forgotten could be overwritten since the last time, if so.
  func takeForgetError() -> RoostError? {
    defer { forgetError = nil }
    return forgetError
  }
}
