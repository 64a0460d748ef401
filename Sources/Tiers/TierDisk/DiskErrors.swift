import Glibc
import RoostPrimitives

/// The error numbers that a disk tier tells apart.
enum DiskErrors {
  static let again = EAGAIN
  static let interrupted = EINTR
  static let inputOutput = EIO

  /// What a failed operation on a page is to its reader or writer.
  static func error(_ number: CInt, _ what: String, _ path: String) -> RoostError {
    .system(what, number, "the disk tier could not \(what) a page", context: [("path", path)])
  }

  /// Whether an error says that the medium under a page is bad, and not that space ran out or the request was odd.
  static func isMedium(_ number: CInt) -> Bool { [EIO, ENXIO, ENODATA, EILSEQ].contains(number) }
}
