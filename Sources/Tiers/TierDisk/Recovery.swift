import RoostPrimitives
import RoostStorage

/// What a tier finds in its directory when it starts. Made without the tier's lock.
final class Recovery {
  let table: PageTable
  let segments: SegmentSet
  let record: StoreRecord
  let generation: UInt64
  /// Records whose pages have a later copy: see `PageTable.settle`.
  let stale: [UInt32]
  private(set) var report = RecoveryReport()

  /// Opens and makes segments, finds the pages, and begins a new session: rule 2 to 6 of `DiskCore`.
  init(
    _ directory: any StorageDirectory, _ configuration: DiskTierConfiguration, _ record: StoreRecord,
    isRecordFound: Bool, until deadline: Deadline
  ) throws(RoostError) {
    segments = try SegmentSet(in: directory, configuration, record: record, isRecordFound: isRecordFound)
    var table = try Recovery.emptyTable(segments)
    if isRecordFound, let generation = Snapshot.read(into: table, segments, in: directory) {
      self.generation = generation
      report.usedSnapshot = true
    } else {
      table = try Recovery.emptyTable(segments)
      for (number, header) in segments.headers.enumerated() {
        guard let header, header.slotByteCount > 0 else { continue }
        table.cut(number, slotByteCount: header.slotByteCount, epoch: header.epoch)
      }
      let found = try HeaderScan.run(
        table, segments, threadCount: configuration.scanThreadCount, until: deadline)
      generation = found.generationMax
      report.damagedCount = found.damagedCount
    }
    report.damagedCount += segments.damagedCount
    let (files, found) = (segments.files, table)
    stale = table.settle { Recovery.isIntact($0, found, files) }
    if let order = configuration.order { table.decide(by: order) }
    self.table = table
    var next = segments.record
    next.session += 1
    for (number, file) in segments.files.enumerated() where file != nil {
      table.setUsable(number)
      if segments.headers[number] == nil { table.raiseEpoch(of: number, to: next.session << 20) }
    }
    self.record = next
    if configuration.sync == .batch {
      // What a killed process wrote may be in the page cache alone, and is promised again when it is written again.
      for file in segments.files { try file?.sync() }
    }
    try Recovery.begin(next, in: directory, isRecordFound: isRecordFound)
  }

  /// Whether the bytes of a page match their seal.
  private static func isIntact(_ record: UInt32, _ table: PageTable, _ files: [(any StorageFile)?]) -> Bool {
    let page = table.records[Int(record)]
    let memory = AlignedMemory(byteCount: Int(page.byteCount))
    guard let file = files[table.segment(of: record)],
      (try? file.read(into: memory.bytes, at: table.offset(of: record) + Limits.granuleBytes)) == memory.bytes.count
    else { return false }
    return Seal(over: UnsafeRawBufferPointer(memory.bytes)) == page.seal
  }

  private static func emptyTable(_ segments: SegmentSet) throws(RoostError) -> PageTable {
    try PageTable(segmentCount: segments.files.count, segmentByteCount: segments.record.segmentByteCount)
  }

  /// Makes the new session durable, and with it the end of any snapshot.
  private static func begin(
    _ record: StoreRecord, in directory: any StorageDirectory, isRecordFound: Bool
  ) throws(RoostError) {
    let file =
      isRecordFound
      ? try directory.open(StoreRecord.fileName)
      : try directory.create(StoreRecord.fileName, byteCount: StoreRecord.byteCount)
    try record.write(to: file)
    try directory.remove(Snapshot.fileName)
    try directory.remove(Snapshot.newFileName)
    try directory.sync()
  }
}

extension DiskCore {
  /// Takes over what recovery found; from now on pages are there.
  func install(_ recovery: Recovery) {
    guard !isClosed else { return }
    table = recovery.table
    files = recovery.segments.files
    record = recovery.record
    generation = recovery.generation
    occupiedBytes = recovery.segments.occupiedBytes + Limits.reserveBytesMin / 2
    isRecovered = true
    for record in recovery.stale { enqueue(Flight(role: .note(.removed), ticket: nil, record: record)) }
    pump()
  }

  /// The files with writes that are not known to be durable; the caller syncs them.
  func takeUnsynced() -> [(number: Int, file: any StorageFile)] {
    defer { unsyncedSegments.removeAll() }
    return unsyncedSegments.sorted().compactMap { number in files[number].map { (number, $0) } }
  }

  /// Leaves the index for the next start.
  func writeSnapshot() throws(RoostError) {
    guard isRecovered else { return }
    let isWritten = try Snapshot.write(
      table, record, generation: generation, bytesMax: configuration.snapshotBytesMax, in: directory)
    if !isWritten { Log.write(.info, "disk tier: the snapshot would not fit its share of the capacity") }
  }

  /// Lets go of the directory.
  func letGo() {
    lock = nil
    files = files.map { _ in nil }
  }
}
