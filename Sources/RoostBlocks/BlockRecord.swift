import RoostPrimitives

/// The dense number of a tracked block inside one table; policies keep their own state in arrays indexed by it.
///
/// It stays the same as long as the block is tracked, resident or ghost, and is used again afterwards.
public struct RecordNumber: RawRepresentable, Hashable, Sendable {
  /// The number.
  public let rawValue: UInt32
  /// Wraps a number.
  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// Stands for "this block is not tracked".
  public static let none = RecordNumber(rawValue: .max)
}

/// What the table knows of one tracked block: one cache line.
struct BlockRecord {
  /// The block's name; all zero while the record is unused, so that a forgotten key is really gone.
  var key: Key
  /// The slot that holds the page, or `noSlot`. While the record is unused: the next unused one.
  var slot: UInt32
  /// The generation of the slot's content.
  var generation: UInt32
  /// Leases that hold the slot.
  var holderCount: UInt32
  /// The state of the slot; `free` for a ghost and for an unused record.
  var state: SlotState
  /// The size class of the slot.
  var slotClass: UInt8
  /// Whether the index leads here.
  var isIndexed: Bool
  /// Fills the cache line, so that no record lies across two.
  var padding: UInt64 = 0

  static let noSlot = UInt32.max

  /// Whether the block has a slot and is not a ghost.
  var isResident: Bool { slot != BlockRecord.noSlot }
}

/// The dense records of a table and the list of unused ones. Not thread-safe.
package struct BlockRecords: ~Copyable {
  private let storage: ReservedArray<BlockRecord>
  private var firstUnused = UInt32.max
  /// Records below this number have been in use at some time.
  private(set) var touchedCount = 0
  /// Records in use.
  private(set) var usedCount = 0

  /// Reserves `count` records.
  package init(count: Int) throws(RoostError) {
    assert(MemoryLayout<BlockRecord>.stride == 64)
    storage = try ReservedArray(count: count)
  }

  var pointer: UnsafeMutablePointer<BlockRecord> { storage.pointer }
  var capacity: Int { storage.count }
  var reservedBytes: Int { storage.reservedBytes }

  subscript(number: RecordNumber) -> BlockRecord {
    get { storage.pointer[Int(number.rawValue)] }
    nonmutating _modify { yield &storage.pointer[Int(number.rawValue)] }
  }

  /// Takes an unused record for `key`, the one used last if there is one: its memory is warm. Nil: all are in use.
  package mutating func take(_ key: Key, slotClass: UInt8) -> RecordNumber? {
    let number: UInt32
    if firstUnused != .max {
      number = firstUnused
      firstUnused = storage.pointer[Int(number)].slot
    } else {
      guard touchedCount < storage.count else { return nil }
      number = UInt32(touchedCount)
      touchedCount += 1
    }
    usedCount += 1
    storage.pointer[Int(number)] = BlockRecord(
      key: key, slot: BlockRecord.noSlot, generation: 0, holderCount: 0, state: .free, slotClass: slotClass,
      isIndexed: false)
    return RecordNumber(rawValue: number)
  }

  /// Gives a record back and wipes its key.
  package mutating func release(_ number: RecordNumber) {
    usedCount -= 1
    storage.pointer[Int(number.rawValue)] = BlockRecord(
      key: BlockRecords.wiped, slot: firstUnused, generation: 0, holderCount: 0, state: .free, slotClass: 0,
      isIndexed: false)
    firstUnused = number.rawValue
  }

  /// The numbers of unused records among the touched ones, for checks: O(n).
  func unusedNumbers() -> Set<UInt32> {
    var result = Set<UInt32>()
    var next = firstUnused
    while next != .max, result.insert(next).inserted { next = storage.pointer[Int(next)].slot }
    return result
  }

  private static let wiped = Key(identity: IdentityID(rawValue: 0), group: 0, words: (0, 0, 0, 0))
}
