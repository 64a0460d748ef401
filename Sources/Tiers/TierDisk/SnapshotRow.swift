import RoostPrimitives
import RoostStorage

/// The rows of a snapshot: identities first, in the order of their numbers, then segments, then pages.
///
/// A page: kind 0 (1), state 1 (1), codec 2 (1), hash length 3 (1), segment 4 (4), slot 8 (4), page length 12 (4), identity
/// 16 (4), group 20 (2), proven 22 (1), zero 23 (1), generation 24 (8), layout 32 (8), seal 40 (16), hash 56 (32).
enum SnapshotRow {
  static let identity: UInt8 = 1
  static let segment: UInt8 = 2
  static let page: UInt8 = 3

  static func encode(_ page: PageRecord, _ place: SlotPlace, into row: ByteFields) {
    row.put(SnapshotRow.page, at: 0)
    row.put((page.state == .live ? PageHeader.State.live : .quarantined).rawValue, at: 1)
    row.put(page.codec.rawValue, at: 2)
    row.put(page.key.hashByteCount, at: 3)
    row.put(place.segment, at: 4)
    row.put(place.index, at: 8)
    row.put(page.byteCount, at: 12)
    row.put(page.key.identity.rawValue, at: 16)
    row.put(page.key.group, at: 20)
    row.put(UInt8(page.isProven ? 1 : 0), at: 22)
    row.put(page.generation, at: 24)
    row.put(page.layout, at: 32)
    row.put(page.seal.low, at: 40)
    row.put(page.seal.high, at: 48)
    row.putBytes(page.key.words, at: 56)
  }
}

/// Takes the rows of a snapshot into a table, and refuses what does not fit the segments as they are.
struct SnapshotReader {
  let table: PageTable
  let segments: SegmentSet
  private var cutCount = 0

  init(table: PageTable, segments: SegmentSet) {
    self.table = table
    self.segments = segments
  }

  /// Whether every cut segment had its row.
  var isComplete: Bool { cutCount == segments.headers.count { $0 != nil } }

  /// Takes one row; false: the snapshot is not to be trusted.
  mutating func take(_ row: ByteFields) -> Bool {
    switch row.get(0, as: UInt8.self) {
    case SnapshotRow.identity: return table.adopt(IdentityDigest(words: row.getBytes(8)))
    case SnapshotRow.segment: return takeSegment(row)
    case SnapshotRow.page: return takePage(row)
    default: return false
    }
  }

  private mutating func takeSegment(_ row: ByteFields) -> Bool {
    let number = Int(row.get(4, as: UInt32.self))
    guard number < segments.headers.count, let header = segments.headers[number],
      table.segments[number].slotByteCount == 0, row.get(8) == UInt64(header.slotByteCount),
      row.get(16) == header.epoch
    else { return false }
    table.cut(number, slotByteCount: header.slotByteCount, epoch: header.epoch)
    cutCount += 1
    return true
  }

  private func takePage(_ row: ByteFields) -> Bool {
    let place = SlotPlace(segment: row.get(4), index: row.get(8))
    guard let state = PageHeader.State(rawValue: row.get(1)), let codec = Representation.Codec(rawValue: row.get(2)),
      Int(place.segment) < table.segments.count, Int(place.index) < table.segments[Int(place.segment)].slotCount
    else { return false }
    // One of those that could not even be read has no name.
    if state == .quarantined, table.records[Int(table.record(at: place))].state == .absent {
      table.adoptUnreadable(place)
      return true
    }
    let identity = IdentityID(rawValue: row.get(16))
    let byteCount = Int(row.get(12, as: UInt32.self))
    let hashByteCount = Int(row.get(3, as: UInt8.self))
    guard Int(identity.rawValue) < table.identities.digests.count, byteCount > 0,
      byteCount <= table.segments[Int(place.segment)].slotByteCount,
      (Key.hashByteCountMin...Key.hashByteCountMax).contains(hashByteCount),
      row.get(24, as: UInt64.self) < Limits.generationMax,
      table.records[Int(table.record(at: place))].state == .absent
    else { return false }
    var key = Key(identity: identity, group: row.get(20), words: row.getBytes(56))
    key.hashByteCount = UInt8(hashByteCount)
    let facts = PageFacts(
      byteCount: byteCount, seal: Seal(low: row.get(40), high: row.get(48)),
      representation: Representation(layout: row.get(32), codec: codec))
    let header = PageHeader(
      state: .live, name: PageName(key, identity: table.identities[identity]), facts: facts, place: place,
      epoch: table.segments[Int(place.segment)].epoch, generation: row.get(24), writtenAt: 0)
    table.adopt(header, key: key, isProven: row.get(22, as: UInt8.self) == 1)
    return true
  }
}
