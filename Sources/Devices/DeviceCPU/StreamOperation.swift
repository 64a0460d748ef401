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
}

/// An own copy of a caller's pieces. Immutable.
final class PieceArray: Sendable {
  // Written in the initialiser only.
  private nonisolated(unsafe) let storage: UnsafeMutableBufferPointer<CopyPiece>

  init(copying pieces: UnsafeBufferPointer<CopyPiece>) {
    storage = .allocate(capacity: pieces.count)
    _ = storage.initialize(from: pieces)
  }

  deinit { storage.deallocate() }

  /// The pieces, valid while this object lives.
  var pieces: UnsafeBufferPointer<CopyPiece> { UnsafeBufferPointer(storage) }
}
