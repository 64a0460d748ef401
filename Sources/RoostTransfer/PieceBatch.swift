import RoostDevice
import RoostPrimitives

/// Turns pages into pieces and hands them to a stream in batches, in one buffer that is used again. Not thread-safe:
/// whoever shares one holds a lock, which is why it may cross threads.
final class PieceBatch: @unchecked Sendable {
  private let buffer = UnsafeMutablePointer<CopyPiece>.allocate(capacity: Limits.batchPieceCount)
  private var count = 0
  /// The pages of the job that is being started.
  private var pages: [PageCopy] = []

  deinit { buffer.deallocate() }

  /// Lists the pages of a job, and says how many there are.
  ///
  /// - Throws: `invalidInput` for a page that is no good.
  func list(_ source: PageSource, for template: PageTemplate) throws(RoostError) -> Int {
    pages.removeAll(keepingCapacity: true)
    source.append(to: &pages)
    if !source.isChecked {
      try pages.withUnsafeBufferPointer { pages throws(RoostError) in try template.check(pages) }
    }
    return pages.count
  }

  /// Copies the pages that were listed last.
  func copyListed(
    _ runs: RunTable, _ direction: TransferDirection, on stream: any DeviceStream
  ) throws(RoostError) {
    try pages.withUnsafeBufferPointer { pages throws(RoostError) in
      try copy(pages, runs, direction, on: stream)
    }
  }

  /// Copies `pages` on `stream`. Pages may have been handed over in part when it throws.
  func copy(
    _ pages: UnsafeBufferPointer<PageCopy>, _ runs: RunTable, _ direction: TransferDirection,
    on stream: any DeviceStream
  ) throws(RoostError) {
    count = 0
    for page in pages {
      if runs.pieces.count == 1 {
        try appendFused(page, runs, direction, on: stream)
        continue
      }
      var done = 0
      while done < runs.pieces.count {
        if count == Limits.batchPieceCount { try flush(direction, on: stream) }
        let range = done..<min(runs.pieces.count, done + Limits.batchPieceCount - count)
        runs.emit(range, of: page, sourceAddress: 0, direction: direction, to: buffer + count)
        count += range.count
        done = range.upperBound
      }
    }
    try flush(direction, on: stream)
  }

  /// The same between staged pages at `stagingAddress` and slots, on the calling thread, which it blocks.
  func copyOnHost(
    _ pages: UnsafeBufferPointer<PageCopy>, _ runs: RunTable, stagingAddress: UInt, _ direction: TransferDirection
  ) {
    for page in pages {
      var done = 0
      while done < runs.pieces.count {
        let range = done..<min(runs.pieces.count, done + Limits.batchPieceCount)
        runs.emit(range, of: page, sourceAddress: stagingAddress, direction: direction, to: buffer)
        HostCopy.copy(UnsafeBufferPointer(start: buffer, count: range.count))
        done = range.upperBound
      }
    }
  }

  /// A page of one run becomes a part of the run before it where both sides go on: consecutive blocks in consecutive
  /// slots are one copy.
  private func appendFused(
    _ page: PageCopy, _ runs: RunTable, _ direction: TransferDirection, on stream: any DeviceStream
  ) throws(RoostError) {
    if count == Limits.batchPieceCount { try flush(direction, on: stream) }
    runs.emit(0..<1, of: page, sourceAddress: 0, direction: direction, to: buffer + count)
    let piece = buffer[count]
    if count > 0 {
      let last = buffer[count - 1]
      if last.source &+ last.byteCount == piece.source, last.target &+ last.byteCount == piece.target {
        buffer[count - 1].byteCount = last.byteCount &+ piece.byteCount
        return
      }
    }
    count += 1
  }

  private func flush(_ direction: TransferDirection, on stream: any DeviceStream) throws(RoostError) {
    guard count > 0 else { return }
    let pieces = UnsafeBufferPointer(start: buffer, count: count)
    count = 0
    try stream.copy(pieces, direction == .store ? .deviceToHost : .hostToDevice)
  }
}
