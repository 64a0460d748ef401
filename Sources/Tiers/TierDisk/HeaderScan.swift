import RoostPrimitives
import RoostStorage

/// Reads the headers of all slots of cut segments, on several threads, and enters them into a table. No page is read.
final class HeaderScan: Sendable {
  private struct Progress {
    var next = 0
    var damagedCount = 0
    var generationMax: UInt64 = 0
    var isLate = false
  }

  /// What was found besides the pages.
  struct Result {
    var damagedCount: Int
    var generationMax: UInt64
  }

  /// Slots between two looks at the deadline, and entered at once: 1,024 headers are 150 KB.
  private static let runLength = 1024

  private let table: Guarded<PageTable>
  private let segments: SegmentSet
  private let progress = Guarded(Progress())
  private let deadline: Deadline

  /// Prepares to scan. Nobody else uses the table meanwhile.
  private init(_ table: PageTable, _ segments: SegmentSet, until deadline: Deadline) {
    self.table = Guarded(table)
    self.segments = segments
    self.deadline = deadline
  }

  /// Scans.
  ///
  /// - Throws: `timedOut`.
  static func run(
    _ table: PageTable, _ segments: SegmentSet, threadCount: Int, until deadline: Deadline
  ) throws(RoostError) -> Result {
    let scan = HeaderScan(table, segments, until: deadline)
    var threads: [HostThread] = []
    for number in 0..<max(0, min(threadCount, segments.files.count) - 1) {
      // Fewer threads only take longer.
      if let thread = try? HostThread.start("roost-scan-\(number)", { scan.work() }) { threads.append(thread) }
    }
    scan.work()
    for thread in threads { thread.join() }
    let end = scan.progress.withLock { $0 }
    if end.isLate { throw RoostError(.timedOut, "the headers of the disk tier could not be read in time") }
    return Result(damagedCount: end.damagedCount, generationMax: end.generationMax)
  }

  private func work() {
    let memory = AlignedMemory(byteCount: Limits.granuleBytes)
    while true {
      let number = progress.withLock { progress in
        defer { progress.next += 1 }
        return progress.isLate ? segments.files.count : progress.next
      }
      guard number < segments.files.count else { return }
      guard let file = segments.files[number], let header = segments.headers[number] else { continue }
      scan(number, file, header, memory)
    }
  }

  private func scan(_ number: Int, _ file: any StorageFile, _ segment: SegmentHeader, _ memory: AlignedMemory) {
    let count = SegmentHeader.slotCount(segment.slotByteCount, segmentByteCount: segment.segmentByteCount)
    for start in stride(from: 0, to: count, by: HeaderScan.runLength) {
      if deadline.hasPassed() {
        progress.withLock { $0.isLate = true }
        return
      }
      var found: [PageHeader] = []
      var unreadable: [SlotPlace] = []
      var damagedCount = 0
      for index in start..<min(count, start + HeaderScan.runLength) {
        let place = SlotPlace(segment: UInt32(number), index: UInt32(index))
        switch HeaderScan.header(at: place, file, segment, memory) {
        case .success(let header): found.append(header)
        case .failure(let error):
          switch error.fault {
          case .empty, .elsewhere: break
          case .damaged: damagedCount += 1
          case .unreadable: unreadable.append(place)
          }
        }
      }
      enter(found, unreadable, damagedCount)
    }
  }

  /// The header of one slot.
  static func header(
    at place: SlotPlace, _ file: any StorageFile, _ segment: SegmentHeader, _ memory: AlignedMemory
  ) -> Swift.Result<PageHeader, PageHeader.FaultError> {
    let target = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[..<Limits.headerReadBytes])
    let offset = SegmentHeader.offset(of: place.index, slotByteCount: segment.slotByteCount)
    guard (try? file.read(into: target, at: offset)) == target.count else {
      return .failure(PageHeader.FaultError(.unreadable))
    }
    return PageHeader.decode(
      memory.start, store: segment.store, place: place, epoch: segment.epoch, slotByteCount: segment.slotByteCount)
  }

  private func enter(_ found: [PageHeader], _ unreadable: [SlotPlace], _ damagedCount: Int) {
    table.withLock { table in
      for header in found {
        // Beyond the last identity there is no key; the page is as good as gone.
        if let key = table.internedKey(of: header.name) { table.adopt(header, key: key) }
      }
      for place in unreadable { table.adoptUnreadable(place) }
    }
    let generationMax = found.map(\.generation).max() ?? 0
    progress.withLock { progress in
      progress.damagedCount += damagedCount + unreadable.count
      progress.generationMax = max(progress.generationMax, generationMax)
    }
  }
}
