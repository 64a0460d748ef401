import Glibc
import RoostPrimitives

/// A file descriptor that is closed with its last reference.
final class Descriptor: Sendable {
  /// The descriptor; valid while this object lives.
  let number: CInt

  init(_ number: CInt) { self.number = number }

  deinit { close(number) }

  /// Opens a file below a directory, never through a symbolic link.
  convenience init(
    in directory: Descriptor, _ name: String, _ flags: CInt, mode: mode_t = 0o600
  ) throws(RoostError) {
    let number = openat(directory.number, name, flags | O_CLOEXEC | O_NOFOLLOW, mode)
    guard number >= 0 else { throw .system("openat", errno, "cannot open the pool's file '\(name)'") }
    self.init(number)
  }

  /// What `fstat` says.
  func status() throws(RoostError) -> stat {
    var result = stat()
    guard fstat(number, &result) == 0 else { throw .system("fstat", errno, "cannot look at a file of the pool") }
    return result
  }

  /// Turns the result of a call of the C shim into a value or an error.
  static func check(_ result: CInt, _ call: String, _ message: @autoclosure () -> String) throws(RoostError) -> CInt {
    guard result >= 0 else { throw .system(call, -result, message()) }
    return result
  }
}
