import CRoostPlatform
import RoostPrimitives

/// Copies within host memory, on the calling thread.
enum HostCopy {
  /// Copies pieces with the processor's best loop.
  static func copy(_ pieces: UnsafeBufferPointer<CopyPiece>) {
    guard let start = pieces.baseAddress else { return }
    // The C structure has the same three words (CopyPiece's documentation promises them).
    roost_copy_pieces(UnsafeRawPointer(start).assumingMemoryBound(to: roost_copy_piece.self), pieces.count)
  }
}
