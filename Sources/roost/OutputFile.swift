import Glibc
import RoostPrimitives

/// A file that a command will write when it is done. Opened beforehand, so that a path that cannot be written is said
/// before the work and not after it; a file that was made for nothing is removed again. Not thread-safe.
final class OutputFile {
  /// Where it is.
  let path: String
  private let descriptor: CInt
  private var isWasted: Bool

  /// Opens the file, or makes it; what is in it stays until `write`.
  ///
  /// - Throws: `invalidInput` that names the path.
  init(_ path: String) throws(RoostError) {
    self.path = path
    let made = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    isWasted = made >= 0
    descriptor = made >= 0 ? made : open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      let reason = String(cString: strerror(errno))
      throw RoostError(.invalidInput, "cannot write '\(path)': \(reason)")
    }
  }

  deinit {
    close(descriptor)
    if isWasted { unlink(path) }
  }

  /// Replaces the contents.
  ///
  /// - Throws: what the system says, a full disk for example.
  func write(_ text: String) throws(RoostError) {
    // Pipes and terminals have no length to cut.
    if ftruncate(descriptor, 0) != 0, errno != EINVAL { throw .system("ftruncate", errno, "cannot write \(path)") }
    let bytes = Array(text.utf8)
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .system("write", errno, "cannot write \(path)") }
      written += count
    }
    isWasted = false
  }
}
