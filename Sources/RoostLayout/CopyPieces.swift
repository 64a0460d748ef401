import RoostPrimitives

/// The pieces of a copy, ascending by target and as few as possible: a piece that continues the one before on both
/// sides is joined to it, across loops, parts and planes.
///
/// Nothing is materialised: one position a part. Parts, and loops whose strides interleave, are merged by a heap.
/// Pieces hold offsets, not addresses.
public struct CopyPieces: Sequence, IteratorProtocol {
  private var streams: [PieceStream] = []
  private var heap: [Int] = []
  private var pending: CopyPiece?

  init(parts: [CopyPart]) {
    streams.reserveCapacity(parts.count)
    for part in parts { appendStreams(of: part) }
    heap = Array(streams.indices)
    heap.sort { streams[$0].piece.target < streams[$1].piece.target }  // a sorted array is a heap
  }

  /// Throws if there would be more streams than `Limits.streamCountMax`.
  static func checkStreams(of parts: [CopyPart]) throws(LayoutError) {
    var total = 0
    for part in parts { total += part.streamCount }
    guard total <= Limits.streamCountMax else {
      throw .limitPassed("interleaved streams", count: total, limit: Limits.streamCountMax)
    }
  }

  /// The next piece.
  public mutating func next() -> CopyPiece? {
    while let piece = nextRun() {
      guard let before = pending else {
        pending = piece
        continue
      }
      let end = before.target &+ before.byteCount
      // Runs of one layout may overlap, those of a target never do: there `<=` means `==`.
      if piece.target <= end, piece.source &- piece.target == before.source &- before.target {
        pending?.byteCount = Swift.max(end, piece.target &+ piece.byteCount) &- before.target
      } else {
        pending = piece
        return before
      }
    }
    defer { pending = nil }
    return pending
  }

  /// The run with the lowest target of all streams.
  private mutating func nextRun() -> CopyPiece? {
    guard let first = heap.first else { return nil }
    let piece = streams[first].piece
    if !streams[first].advance() {
      heap[0] = heap[heap.count - 1]
      heap.removeLast()
    }
    if heap.count > 1 { siftDown() }
    return piece
  }

  private mutating func siftDown() {
    let moved = heap[0]
    let target = streams[moved].piece.target
    var slot = 0
    while true {
      var child = 2 * slot + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, streams[heap[child + 1]].piece.target < streams[heap[child]].piece.target {
        child += 1
      }
      guard streams[heap[child]].piece.target < target else { break }
      heap[slot] = heap[child]
      slot = child
    }
    heap[slot] = moved
  }

  /// Adds one stream for a nested part, one for each step of the interleaving loops otherwise.
  private mutating func appendStreams(of part: CopyPart) {
    let piece = CopyPiece(
      source: UInt(part.sourceOffset), target: UInt(part.targetOffset), byteCount: UInt(part.run))
    guard !part.isNested else { return streams.append(PieceStream(piece: piece, loops: part.loops)) }
    let taken = part.interleavingLoops
    let inner = part.loops.indices.filter { !taken.contains($0) }.map { part.loops[$0] }
    var starts = PieceStream(piece: piece, loops: taken.map { part.loops[$0] })
    repeat {
      streams.append(PieceStream(piece: starts.piece, loops: inner))
    } while starts.advance()
  }
}

/// An odometer over the runs of a part.
struct PieceStream {
  private(set) var piece: CopyPiece
  private let loops: [CopyLoop]
  private var counters: [Int]

  init(piece: CopyPiece, loops: [CopyLoop]) {
    self.piece = piece
    self.loops = loops
    counters = Array(repeating: 0, count: loops.count)
  }

  /// Moves to the next run; false after the last one.
  mutating func advance() -> Bool {
    var index = loops.count - 1
    while index >= 0 {
      let loop = loops[index]
      counters[index] &+= 1
      if counters[index] < loop.count {
        piece.source &+= UInt(loop.sourceStride)
        piece.target &+= UInt(loop.targetStride)
        return true
      }
      counters[index] = 0
      piece.source &-= UInt((loop.count &- 1) &* loop.sourceStride)
      piece.target &-= UInt((loop.count &- 1) &* loop.targetStride)
      index -= 1
    }
    return false
  }
}

extension CopyPlan {
  /// The pieces ascending by target, as few as possible, as offsets.
  public var pieces: CopyPieces { CopyPieces(parts: parts) }
}
