import RoostPrimitives

/// A page's copy in two steps with a staged page between them: the runs of the device, as long as they are there, one
/// after another; and the runs between the staged page and the slot.
struct StagingPlan: Sendable {
  /// `source`: device address in block 0. `target`: offset in the staged page.
  let device: RunTable
  /// `source`: offset in the staged page, the number of which plays the block. `target`: offset in the slot.
  let host: RunTable
  /// Bytes from one staged page to the next: whole cache lines.
  let pageStrideBytes: Int

  /// Works the two steps out; nil if the device's runs are no longer than the page's, so that staging gains nothing.
  init?(_ runs: RunTable) {
    var device = RunTable()
    var hostPieces: [CopyPiece] = []
    var stagedBytes: UInt = 0
    for stretch in runs.stretches {
      let pieces = runs.pieces[stretch.range].sorted { $0.source < $1.source }
      var merged: [CopyPiece] = []
      for piece in pieces {
        hostPieces.append(CopyPiece(source: stagedBytes, target: piece.target, byteCount: piece.byteCount))
        if let last = merged.last, last.source + last.byteCount == piece.source {
          merged[merged.count - 1].byteCount += piece.byteCount
        } else {
          merged.append(CopyPiece(source: piece.source, target: stagedBytes, byteCount: piece.byteCount))
        }
        stagedBytes += piece.byteCount
      }
      device.append(merged, blockStrideBytes: stretch.blockStrideBytes)
    }
    guard device.pieces.count < runs.pieces.count else { return nil }
    self.device = device
    var host = RunTable()
    pageStrideBytes = Int((stagedBytes + 63) & ~63)
    host.append(hostPieces.sorted { $0.target < $1.target }, blockStrideBytes: UInt(pageStrideBytes))
    self.host = host
  }
}
