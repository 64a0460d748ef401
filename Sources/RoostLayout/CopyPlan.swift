/// One loop of a strided copy: `count` steps, each so many bytes further in the source and in the target.
public struct CopyLoop: Hashable, Sendable {
  /// Steps, at least 2.
  public var count: Int
  /// Bytes from one step to the next in the source.
  public var sourceStride: Int
  /// Bytes from one step to the next in the target.
  public var targetStride: Int

  /// Makes a loop.
  public init(count: Int, sourceStride: Int, targetStride: Int) {
    self.count = count
    self.sourceStride = sourceStride
    self.targetStride = targetStride
  }
}

/// One affine part of a copy: nested loops, outermost first, over a contiguous run.
///
/// The strided form that hardware with 2-D or batched copies takes. Loops go from the largest target stride to the
/// smallest, neighbours that could be one loop are one, and the run is the longest that the loops allow.
public struct CopyPart: Hashable, Sendable {
  /// Where the first run starts in the source, from its start.
  public let sourceOffset: Int
  /// Where the first run starts in the target, from its start.
  public let targetOffset: Int
  /// The loops, outermost first.
  public let loops: [CopyLoop]
  /// Bytes that lie together on both sides.
  public let run: Int

  /// Runs that the loops give.
  public var pieceCount: Int { loops.reduce(1) { $0 &* $1.count } }

  /// Bytes that are copied.
  public var byteCount: Int { pieceCount &* run }

  /// From the first byte that is written to just past the last one.
  public var targetRange: Range<Int> {
    targetOffset..<loops.reduce(targetOffset &+ run) { $0 &+ ($1.count &- 1) &* $1.targetStride }
  }

  /// From the first byte that is read to just past the last one.
  public var sourceRange: Range<Int> {
    sourceOffset..<loops.reduce(sourceOffset &+ run) { $0 &+ ($1.count &- 1) &* $1.sourceStride }
  }
}

/// The copy from one layout to another: strided parts, independent of the data's size and of where it lies.
///
/// Made once by `Layout.plan(from:to:)` and used for every page: `emit` adds the addresses. Immutable, may cross
/// threads. No byte of the target is written twice.
public struct CopyPlan: Hashable, Sendable {
  /// The affine parts, one unless the layouts have planes or radices that do not divide each other.
  public let parts: [CopyPart]
  /// Pieces that `emit` writes: the sum over the parts.
  public let pieceCount: Int
  /// Bytes that are copied.
  public let byteCount: Int

  init(parts: [CopyPart]) {
    self.parts = parts
    var pieceCount = 0
    var byteCount = 0
    for part in parts {
      let count = part.pieceCount
      pieceCount &+= count
      byteCount &+= count &* part.run
    }
    self.pieceCount = pieceCount
    self.byteCount = byteCount
  }

  /// Whether one contiguous copy does it all.
  public var isContiguous: Bool { pieceCount == 1 }

  /// The shortest contiguous run of any part, in bytes: what decides which copy engine suits.
  public var runMin: Int { parts.reduce(Int.max) { min($0, $1.run) } }

  /// From the first byte that is read to just past the last one.
  public var sourceRange: Range<Int> { CopyPlan.union(parts.map(\.sourceRange)) }

  /// From the first byte that is written to just past the last one.
  public var targetRange: Range<Int> { CopyPlan.union(parts.map(\.targetRange)) }

  private static func union(_ ranges: [Range<Int>]) -> Range<Int> {
    ranges.reduce(ranges[0]) { min($0.lowerBound, $1.lowerBound)..<max($0.upperBound, $1.upperBound) }
  }
}
