import RoostLayout
import RoostPrimitives

/// The contiguous runs of one page, in stretches whose device addresses advance equally from block to block. Immutable
/// once it stands in a template.
struct RunTable: Sendable {
  /// Runs that advance by the same stride.
  struct Stretch: Sendable {
    var range: Range<Int>
    var blockStrideBytes: UInt
  }

  /// `source`: device address of the run in block 0 (in a staging plan: offset in the staged page). `target`: offset
  /// in the slot.
  private(set) var pieces: [CopyPiece] = []
  private(set) var stretches: [Stretch] = []

  /// Bytes of all runs.
  var byteCount: Int { pieces.reduce(0) { $0 + Int($1.byteCount) } }

  /// Bytes of the shortest run.
  var shortest: Int { Int(pieces.map(\.byteCount).min() ?? 0) }

  mutating func append(_ plan: CopyPlan, deviceAddress: UInt, blockStrideBytes: Int) {
    let added = [CopyPiece](unsafeUninitializedCapacity: plan.pieceCount) { buffer, count in
      count = plan.emit(sourceBase: deviceAddress, targetBase: 0, into: buffer)
    }
    append(added, blockStrideBytes: UInt(blockStrideBytes))
  }

  mutating func append(_ added: [CopyPiece], blockStrideBytes: UInt) {
    let start = pieces.count
    pieces += added
    if let last = stretches.last, last.blockStrideBytes == blockStrideBytes {
      stretches[stretches.count - 1].range = last.range.lowerBound..<pieces.count
    } else {
      stretches.append(Stretch(range: start..<pieces.count, blockStrideBytes: blockStrideBytes))
    }
  }

  /// The part of every run that lies in this range of the slot.
  func clamped(to range: Range<UInt>) -> RunTable {
    var cut = RunTable()
    for stretch in stretches {
      let kept = pieces[stretch.range].compactMap { piece -> CopyPiece? in
        let target = (piece.target..<piece.target + piece.byteCount).clamped(to: range)
        guard !target.isEmpty else { return nil }
        return CopyPiece(
          source: piece.source + (target.lowerBound - piece.target), target: target.lowerBound,
          byteCount: UInt(target.count))
      }
      if !kept.isEmpty { cut.append(kept, blockStrideBytes: stretch.blockStrideBytes) }
    }
    return cut
  }

  /// Throws if two runs share a byte of the slot, or of the device in block 0.
  func checkDisjoint() throws(RoostError) {
    try RunTable.checkDisjoint(pieces.map { ($0.target, $0.byteCount) }, "of the slot")
    try RunTable.checkDisjoint(pieces.map { ($0.source, $0.byteCount) }, "on the device")
  }

  private static func checkDisjoint(
    _ spans: [(start: UInt, byteCount: UInt)], _ side: String
  ) throws(RoostError) {
    let sorted = spans.sorted { $0.start < $1.start }
    for index in sorted.indices.dropFirst()
    where sorted[index].start < sorted[index - 1].start + sorted[index - 1].byteCount {
      throw RoostError(.invalidInput, "two parts of the page share bytes \(side)")
    }
  }

  /// Writes the runs `range` of one page to `output`, as many as `range` has.
  ///
  /// - Parameters:
  ///   - page: the block, and the address that the runs' targets count from.
  ///   - sourceAddress: what the runs' sources count from; 0 where they are addresses.
  @inline(__always)
  func emit(
    _ range: Range<Int>, of page: PageCopy, sourceAddress: UInt, direction: TransferDirection,
    to output: UnsafeMutablePointer<CopyPiece>
  ) {
    let slotAddress = page.slotAddress
    pieces.withUnsafeBufferPointer { pieces in
      var position = output
      for stretch in stretches {
        let part = stretch.range.clamped(to: range)
        guard !part.isEmpty else { continue }
        let offset = UInt(page.block) &* stretch.blockStrideBytes &+ sourceAddress
        switch direction {
        case .store:
          for index in part {
            let piece = pieces[index]
            position.pointee = CopyPiece(
              source: piece.source &+ offset, target: piece.target &+ slotAddress, byteCount: piece.byteCount)
            position += 1
          }
        case .load:
          for index in part {
            let piece = pieces[index]
            position.pointee = CopyPiece(
              source: piece.target &+ slotAddress, target: piece.source &+ offset, byteCount: piece.byteCount)
            position += 1
          }
        }
      }
    }
  }
}
