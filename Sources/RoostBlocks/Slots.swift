import RoostPrimitives

/// The rows of all slots - generation, record or next free slot - and the journal of what changed. Not thread-safe.
struct Slots: ~Copyable {
  /// What a row's `link` means.
  enum Standing: UInt8 {
    /// Never added: the pool has not committed it yet.
    case unknown
    /// `link` is the next free slot of the class.
    case free
    /// `link` is the record of the block in it.
    case occupied
  }

  struct Row {
    var generation: UInt32
    var link: UInt32
    var standing: Standing
    var isChanged: Bool
  }

  static let none = UInt32.max

  private let rows: ReservedArray<Row>
  private let journal: ReservedArray<UInt32>
  private var journalStart = 0
  private var journalCount = 0

  /// Reserves rows for slot numbers below `count`; without `reportsChanges` there is no journal.
  init(count: Int, reportsChanges: Bool) throws(RoostError) {
    let rows = try ReservedArray<Row>(count: count)
    let journal = try ReservedArray<UInt32>(count: reportsChanges ? count : 0)
    self.rows = rows
    self.journal = journal
  }

  var reservedBytes: Int { rows.reservedBytes + journal.reservedBytes }
  var capacity: Int { rows.count }

  subscript(slot: UInt32) -> Row {
    get { rows.pointer[Int(slot)] }
    nonmutating _modify { yield &rows.pointer[Int(slot)] }
  }

  /// Takes the free slot that was freed last - its memory is warm - and gives it to `record`, with a new generation.
  mutating func take(from firstFree: inout UInt32, for record: RecordNumber) -> UInt32? {
    guard firstFree != Slots.none else { return nil }
    let slot = firstFree
    firstFree = rows.pointer[Int(slot)].link
    rows.pointer[Int(slot)].generation &+= 1
    rows.pointer[Int(slot)].link = record.rawValue
    rows.pointer[Int(slot)].standing = .occupied
    return slot
  }

  /// Puts a slot on the free list.
  mutating func give(_ slot: UInt32, to firstFree: inout UInt32) {
    rows.pointer[Int(slot)].link = firstFree
    rows.pointer[Int(slot)].standing = .free
    firstFree = slot
  }

  /// Remembers that the shared row of a slot must be written; each slot stands in the journal once at most.
  @inline(__always) mutating func noteChange(_ slot: UInt32) {
    guard journal.count > 0, !rows.pointer[Int(slot)].isChanged else { return }
    rows.pointer[Int(slot)].isChanged = true
    var end = journalStart + journalCount
    if end >= journal.count { end -= journal.count }
    journal.pointer[end] = slot
    journalCount += 1
  }

  /// The slot that changed first, taken out of the journal.
  mutating func nextChange() -> UInt32? {
    guard journalCount > 0 else { return nil }
    let slot = journal.pointer[journalStart]
    journalStart = journalStart + 1 == journal.count ? 0 : journalStart + 1
    journalCount -= 1
    rows.pointer[Int(slot)].isChanged = false
    return slot
  }
}
