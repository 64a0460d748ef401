extension Layout {
  /// The maximal runs of consecutive bytes that the layout occupies, ascending, each byte once.
  ///
  /// Throws only where strides interleave so wildly that ascending order takes more than `Limits.streamCountMax` streams.
  public func runs() throws(LayoutError) -> ByteRuns {
    let parts = coalescedParts().map(\.withOverlapsAbsorbed)
    try CopyPieces.checkStreams(of: parts)
    return ByteRuns(pieces: CopyPieces(parts: parts))
  }

  /// The layout as nested loops over runs: one value unless it has planes that do not follow each other regularly.
  public func strided() -> [StridedRuns] {
    coalescedParts().map { part in
      StridedRuns(
        offset: part.targetOffset,
        loops: part.loops.map { StridedRuns.Loop(count: $0.count, strideBytes: $0.targetStride) }, run: part.run)
    }
  }

  /// The layout copied onto itself: its loops in canonical form.
  func coalescedParts() -> [CopyPart] {
    var builder = PlanBuilder()
    for index in planes.indices {
      if index > 0, planes[index].hasAxes(of: planes[index - 1]),
        builder.addRepeated(planes[index], to: planes[index])
      {
        continue
      }
      builder.addAlone(planes[index])
    }
    return builder.finish().parts
  }
}

/// The runs of a layout, made one at a time.
public struct ByteRuns: Sequence, IteratorProtocol {
  private var pieces: CopyPieces

  init(pieces: CopyPieces) { self.pieces = pieces }

  /// The next run.
  public mutating func next() -> ByteRun? {
    guard let piece = pieces.next() else { return nil }
    return ByteRun(offset: Int(piece.target), byteCount: Int(piece.byteCount))
  }
}

extension CopyPart {
  /// The same bytes, for a part whose source is its target: loops whose steps overlap or touch become one longer run.
  var withOverlapsAbsorbed: CopyPart {
    var run = run
    var loops = loops
    while let inner = loops.last, inner.targetStride <= run {
      run += (inner.count - 1) * inner.targetStride
      loops.removeLast()
    }
    return CopyPart(sourceOffset: sourceOffset, targetOffset: targetOffset, loops: loops, run: run)
  }
}
