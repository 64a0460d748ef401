import Glibc

extension RoostError {
  /// An error for a failed system call, with the errno that it left.
  ///
  /// - Parameters:
  ///   - call: the call's name, for one `mmap`.
  ///   - number: `errno`, read at once after the call.
  ///   - message: what the caller was doing and, where known, what to do.
  public static func system(
    _ call: String, _ number: CInt = errno, _ message: String, context: [(name: String, value: String)] = []
  ) -> RoostError {
    let code: Code =
      switch number {
      case ENOMEM, ENOSPC, EMFILE, ENFILE, EDQUOT, EFBIG: .outOfResources
      case ENOENT: .notFound
      case EBUSY, EAGAIN, EADDRINUSE: .busy
      case EINVAL, ENAMETOOLONG, EISDIR, ENOTDIR: .invalidInput
      case ETIMEDOUT: .timedOut
      case EPIPE, ECONNRESET, ECONNREFUSED, ENODEV: .lost
      case ENOSYS, EOPNOTSUPP: .unsupported
      default: .system
      }
    let reason = String(cString: strerror(number))
    return RoostError(code, message, context: context + [("call", call), ("reason", reason)])
  }
}
