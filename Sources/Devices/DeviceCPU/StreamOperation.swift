import RoostDevice
import RoostPrimitives

/// What a stream does, in order.
enum StreamOperation {
  case copyOne(CopyPiece)
  case copyMany(PieceArray)
  case copyRows(StridedCopy)
  case record(Recording)
  case wait(Recording)
  case call(@Sendable () -> Void)
  case work(GroupWork)

  /// Whether a waiter may execute it instead of waiting for it: short, and free of foreign code and of waiting.
  var isSmall: Bool { isFree(copyingUpTo: Limits.smallCopyByteCount) }

  /// Whether executing it costs less than handing it to another thread.
  var takesNoTime: Bool { isFree(copyingUpTo: Limits.immediateCopyByteCount) }

  private func isFree(copyingUpTo limit: UInt) -> Bool {
    switch self {
    case .copyOne(let piece): piece.byteCount <= limit
    case .copyMany(let array): array.byteCount <= limit
    case .copyRows: false
    case .record: true
    case .wait(let recording): recording.completedAt != nil
    case .call, .work: false
    }
  }
}

/// An own copy of a caller's pieces, checked. Immutable.
final class PieceArray: Sendable {
  // Written in the initialiser only.
  private nonisolated(unsafe) let storage: UnsafeMutableBufferPointer<CopyPiece>

  /// The index of the first piece that points at no memory.
  let firstBad: Int?
  /// Bytes of all pieces; wraps around if they are nonsense.
  let byteCount: UInt

  init(copying pieces: UnsafeBufferPointer<CopyPiece>) {
    storage = .allocate(capacity: pieces.count)
    // One pass: a request of many small runs spends its time here.
    var byteCount: UInt = 0
    var firstBad: Int?
    for index in pieces.indices {
      let piece = pieces[index]
      storage.initializeElement(at: index, to: piece)
      byteCount &+= piece.byteCount
      if !CopyCheck.isValid(piece), firstBad == nil { firstBad = index }
    }
    self.byteCount = byteCount
    self.firstBad = firstBad
  }

  deinit { storage.deallocate() }

  /// The pieces, valid while this object lives.
  var pieces: UnsafeBufferPointer<CopyPiece> { UnsafeBufferPointer(storage) }
}
