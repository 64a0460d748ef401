import CRoostPlatform
import RoostDevice
import RoostPrimitives
import Synchronization

/// A large copy that several threads carry out together: each takes the next chunk until none is left. One thread reaches
/// half of a memory's bandwidth or less.
final class SharedCopy: Sendable {
  /// Consecutive pieces, or a part of one that is larger than a chunk.
  private struct Chunk {
    var pieces: Range<Int>
    /// The bytes of the only piece.
    var part: Range<UInt>?
    var byteCount: UInt
  }

  /// The first byte that nobody has taken.
  private struct Cursor {
    var piece = 0
    var offset: UInt = 0
  }

  private let array: PieceArray
  private let copyVariant: CInt
  private let cursor = Locked(Cursor())
  private let bytesLeft: Atomic<UInt>
  private let end = Doorbell()

  /// Prepares the copy; every piece is valid.
  init(_ array: PieceArray, copyVariant: CInt) {
    self.array = array
    self.copyVariant = copyVariant
    bytesLeft = Atomic(array.byteCount)
  }

  /// Takes the next chunk and copies it. False: none is left to take, though others may still copy theirs.
  func copyNext() -> Bool {
    guard let chunk = cursor.withLock({ take(&$0) }) else { return false }
    copy(chunk)
    let left = bytesLeft.wrappingSubtract(chunk.byteCount, ordering: .acquiringAndReleasing).newValue
    if left == 0 { end.ring() }
    return true
  }

  /// Copies what nobody has taken, and waits for what others have.
  func finish(spinNanoseconds: UInt64) {
    while copyNext() {}
    while true {
      let rings = end.ringCount
      if bytesLeft.load(ordering: .acquiring) == 0 { return }
      // A chunk is short, and whoever took it is running or about to.
      end.wait(past: rings, spinNanoseconds: spinNanoseconds, until: .never)
    }
  }

  private func take(_ cursor: inout Cursor) -> Chunk? {
    let pieces = array.pieces
    guard cursor.piece < pieces.count else { return nil }
    let limit = Limits.chunkByteCount
    let first = cursor.piece
    let size = pieces[first].byteCount
    if size > limit {
      let part = cursor.offset..<min(size, cursor.offset + limit)
      cursor = part.upperBound == size ? Cursor(piece: first + 1) : Cursor(piece: first, offset: part.upperBound)
      return Chunk(pieces: first..<first + 1, part: part, byteCount: part.upperBound - part.lowerBound)
    }
    var byteCount = size
    var next = first + 1
    while next < pieces.count, byteCount + pieces[next].byteCount <= limit {
      byteCount += pieces[next].byteCount
      next += 1
    }
    cursor.piece = next
    return Chunk(pieces: first..<next, byteCount: byteCount)
  }

  private func copy(_ chunk: Chunk) {
    guard let part = chunk.part else { return copy(UnsafeBufferPointer(rebasing: array.pieces[chunk.pieces])) }
    let whole = array.pieces[chunk.pieces.lowerBound]
    let piece = CopyPiece(
      source: whole.source + part.lowerBound, target: whole.target + part.lowerBound, byteCount: chunk.byteCount)
    withUnsafePointer(to: piece) { copy(UnsafeBufferPointer(start: $0, count: 1)) }
  }

  private func copy(_ pieces: UnsafeBufferPointer<CopyPiece>) { CopyLoop.copy(pieces, variant: copyVariant) }
}

/// The copy loop of this processor.
enum CopyLoop {
  /// Copies pieces on the calling thread.
  static func copy(_ pieces: UnsafeBufferPointer<CopyPiece>, variant: CInt) {
    guard let start = pieces.baseAddress else { return }
    // The C structure has the same three words (CopyPiece's documentation promises them).
    let raw = UnsafeRawPointer(start).assumingMemoryBound(to: roost_copy_piece.self)
    roost_copy_pieces_variant(raw, pieces.count, variant)
  }
}
