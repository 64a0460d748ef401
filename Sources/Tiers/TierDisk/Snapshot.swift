import RoostPrimitives
import RoostStorage

/// The index as a file, written at a clean shutdown so that the next start need not look at every page.
///
/// It is trusted only if it is of this store and of the session just before, if every segment is cut as it says, and if
/// each of its pieces has its check. The session is counted up, durably, before the first write of a session: so a
/// snapshot never outlives what it describes. And were one wrong all the same, each page would still meet its seal.
///
/// A granule: magic 0 (8), version 8 (4), zero 12 (4), store 16 (16), session 32 (8), rows 40 (8), greatest generation 48
/// (8), check 56 (16). Then pieces of 256 KiB: check 0 (16), number 16 (8), rows 24 (8), rows of 88 bytes.
enum Snapshot {
  static let fileName = "snapshot"
  static let newFileName = "snapshot.new"
  static let rowByteCount = 88
  private static let pieceByteCount = 256 << 10
  private static let rowsPerPiece = (pieceByteCount - 32) / rowByteCount
  private static let magic: UInt64 = 0x5041_4E53_5453_4F52
  private static let version: UInt32 = 1
  private static let checkOffset = 56

  /// The length of a snapshot: only its last piece may be shorter than others.
  static func byteCount(rowCount: Int) -> Int {
    let rest = rowCount % rowsPerPiece
    return Limits.granuleBytes + rowCount / rowsPerPiece * pieceByteCount + (rest > 0 ? pieceLength(rest) : 0)
  }

  /// The length of a piece with so many rows.
  private static func pieceLength(_ rowCount: Int) -> Int {
    rowCount == rowsPerPiece ? pieceByteCount : 32 + rowCount * rowByteCount
  }

  // MARK: Writing

  /// Writes the snapshot of a table that is at rest. False if it would not fit its share of the capacity.
  static func write(
    _ table: PageTable, _ record: StoreRecord, generation: UInt64, bytesMax: Int, in directory: any StorageDirectory
  ) throws(RoostError) -> Bool {
    let rowCount =
      table.identities.digests.count + table.segments.count { $0.slotByteCount > 0 } + table.pageCount
      + table.quarantinedCount
    let total = byteCount(rowCount: rowCount)
    guard total <= bytesMax else { return false }
    let file = try directory.create(newFileName, byteCount: total)
    var writer = PieceWriter(file: file)
    try writeRows(of: table, to: &writer)
    try writer.flush()
    let front = AlignedMemory(byteCount: Limits.granuleBytes)
    let fields = ByteFields(front.start)
    fields.put(magic, at: 0)
    fields.put(version, at: 8)
    fields.put(record.store.low, at: 16)
    fields.put(record.store.high, at: 24)
    fields.put(record.session, at: 32)
    fields.put(UInt64(rowCount), at: 40)
    fields.put(generation, at: 48)
    let check = Seal(over: UnsafeRawBufferPointer(start: front.start, count: checkOffset))
    fields.put(check.low, at: checkOffset)
    fields.put(check.high, at: checkOffset + 8)
    try file.write(UnsafeRawBufferPointer(front.bytes), at: 0)
    try file.sync()
    try directory.rename(newFileName, to: fileName)
    try directory.sync()
    return true
  }

  private static func writeRows(of table: PageTable, to writer: inout PieceWriter) throws(RoostError) {
    for digest in table.identities.digests {
      try writer.add { row in
        row.put(SnapshotRow.identity, at: 0)
        row.putBytes(digest.words, at: 8)
      }
    }
    for (number, segment) in table.segments.enumerated() where segment.slotByteCount > 0 {
      try writer.add { row in
        row.put(SnapshotRow.segment, at: 0)
        row.put(UInt32(number), at: 4)
        row.put(UInt64(segment.slotByteCount), at: 8)
        row.put(segment.epoch, at: 16)
      }
    }
    for (number, segment) in table.segments.enumerated() {
      for slot in 0..<segment.slotCount {
        let record = UInt32(number * table.span + slot)
        let page = table.records[Int(record)]
        guard page.state == .live || page.state == .quarantined else { continue }
        try writer.add { SnapshotRow.encode(page, table.place(of: record), into: $0) }
      }
    }
  }

  private struct PieceWriter {
    let file: any StorageFile
    private let piece = AlignedMemory(byteCount: pieceByteCount)
    private var rowCount = 0
    private var number = 0

    init(file: any StorageFile) { self.file = file }

    mutating func add(_ fill: (ByteFields) -> Void) throws(RoostError) {
      fill(ByteFields(piece.start + 32 + rowCount * rowByteCount))
      rowCount += 1
      if rowCount == rowsPerPiece { try flush() }
    }

    mutating func flush() throws(RoostError) {
      guard rowCount > 0 else { return }
      let fields = ByteFields(piece.start)
      fields.put(UInt64(number), at: 16)
      fields.put(UInt64(rowCount), at: 24)
      let length = pieceLength(rowCount)
      let check = Seal(over: UnsafeRawBufferPointer(rebasing: piece.bytes[16..<length]))
      fields.put(check.low, at: 0)
      fields.put(check.high, at: 8)
      let offset = Limits.granuleBytes + number * pieceByteCount
      try file.write(UnsafeRawBufferPointer(rebasing: piece.bytes[..<length]), at: offset)
      piece.bytes.initializeMemory(as: UInt8.self, repeating: 0)
      number += 1
      rowCount = 0
    }
  }

  // MARK: Reading

  /// Enters a snapshot into an empty table. Returns the greatest generation, or nil if the snapshot is not to be trusted;
  /// the table is of no use then.
  static func read(
    into table: PageTable, _ segments: SegmentSet, in directory: any StorageDirectory
  ) -> UInt64? {
    guard let file = try? directory.open(fileName) else { return nil }
    let front = AlignedMemory(byteCount: Limits.granuleBytes)
    guard (try? file.read(into: front.bytes, at: 0)) == Limits.granuleBytes else { return nil }
    let fields = ByteFields(front.start)
    let check = Seal(over: UnsafeRawBufferPointer(start: front.start, count: checkOffset))
    guard fields.get(0) == magic, fields.get(8) == version, fields.get(checkOffset) == check.low,
      fields.get(checkOffset + 8) == check.high, fields.get(16) == segments.record.store.low,
      fields.get(24) == segments.record.store.high, fields.get(32) == segments.record.session,
      fields.get(48, as: UInt64.self) < Limits.generationMax
    else { return nil }
    let rowCount: UInt64 = fields.get(40)
    guard rowCount <= UInt64(Int32.max), file.byteCount == byteCount(rowCount: Int(rowCount)) else { return nil }
    var reader = SnapshotReader(table: table, segments: segments)
    var left = Int(rowCount)
    let piece = AlignedMemory(byteCount: pieceByteCount)
    var number = 0
    while left > 0 {
      let offset = Limits.granuleBytes + number * pieceByteCount
      let count = min(left, rowsPerPiece)
      let target = UnsafeMutableRawBufferPointer(rebasing: piece.bytes[..<pieceLength(count)])
      guard (try? file.read(into: target, at: offset)) == target.count else { return nil }
      let head = ByteFields(piece.start)
      let check = Seal(over: UnsafeRawBufferPointer(rebasing: target[16...]))
      guard head.get(0) == check.low, head.get(8) == check.high, head.get(16) == UInt64(number),
        head.get(24) == UInt64(count)
      else { return nil }
      for row in 0..<count where !reader.take(ByteFields(piece.start + 32 + row * rowByteCount)) { return nil }
      left -= count
      number += 1
    }
    return reader.isComplete ? fields.get(48) : nil
  }
}
