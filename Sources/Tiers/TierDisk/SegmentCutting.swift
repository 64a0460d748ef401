import RoostPrimitives
import RoostStorage

/// A segment that is to be cut into slots of another size, on disk first: rule 5 of `DiskCore`.
struct SegmentCutting: Sendable {
  let number: Int
  let header: SegmentHeader
  let file: any StorageFile

  /// Writes the header and waits until it is durable.
  func write() throws(RoostError) {
    let front = AlignedMemory(byteCount: Limits.segmentFrontBytes)
    header.encode(into: front.bytes)
    try file.write(UnsafeRawBufferPointer(front.bytes), at: 0)
    // Rare, and without it a loss of power takes all pages of the segment, synced or not.
    try file.sync()
  }
}

extension DiskCore {
  /// A segment to cut before a batch is taken in, so that its pages find slots; nil if there is none, or no need. It is
  /// nobody's until `finish`: a cut waits for the drive, and whoever looks into the index must not. Sizes that this batch has
  /// got a segment for are spared, or two of them would take the same one from each other for ever.
  func nextCutting(for batch: TierBatch, sparing spared: Set<Int>) -> SegmentCutting? {
    guard batch.verb == .write, isRecovered, !isClosed, case .open = gate else { return nil }
    var wanted: [Int: Int] = [:]
    for page in batch.pages where page.facts.byteCount > 0 && table.find(page.name) == nil {
      wanted[SlotSizes.size(for: page.facts.byteCount), default: 0] += 1
    }
    for (slotByteCount, count) in wanted.sorted(by: { $0.key < $1.key })
    where (table.classes[slotByteCount]?.free.count ?? 0) < count {
      guard SegmentHeader.slotCount(slotByteCount, segmentByteCount: record.segmentByteCount) > 0,
        let cutting = cutting(for: slotByteCount, sparing: spared)
      else { continue }
      table.setUsable(cutting.number, false)
      cuttingCount += 1
      return cutting
    }
    return nil
  }

  func cutting(for slotByteCount: Int, sparing spared: Set<Int> = []) -> SegmentCutting? {
    guard let number = table.segmentToCut(for: slotByteCount, sparing: spared), let file = files[number] else {
      return nil
    }
    let header = SegmentHeader(
      store: record.store, number: UInt32(number), slotByteCount: slotByteCount,
      segmentByteCount: record.segmentByteCount, epoch: table.segments[number].epoch + 1)
    return SegmentCutting(number: number, header: header, file: file)
  }

  /// The header is written, or could not be.
  func finish(_ cutting: SegmentCutting, _ error: RoostError?) {
    table.setUsable(cutting.number)
    if let error { return stopWriting(error) }
    table.cut(cutting.number, slotByteCount: cutting.header.slotByteCount, epoch: cutting.header.epoch)
    table.freeAbsentSlots(of: cutting.number)
  }
}
