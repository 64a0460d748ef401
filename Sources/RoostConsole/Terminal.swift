import CRoostPlatform
import Glibc
import RoostPrimitives

/// The standard streams. Results go to standard output, everything said to a person while working to standard error.
///
/// Thread-safe: every call is one `write(2)` where the system takes it whole.
public enum Terminal {
  /// Writes a result to standard output, all of it.
  ///
  /// - Throws: what `write(2)` says, for one a full disk behind a redirection.
  public static func write(_ text: String) throws(RoostError) {
    try write(text, to: STDOUT_FILENO, named: "standard output")
  }

  /// Writes to standard error. What cannot be written there has nowhere to be reported.
  public static func note(_ text: String) {
    try? write(text, to: STDERR_FILENO, named: "standard error")
  }

  /// Whether a person sees standard error: it is a terminal, and not a dumb one.
  public static var isInteractive: Bool {
    guard isatty(STDERR_FILENO) == 1 else { return false }
    guard let kind = getenv("TERM") else { return false }
    return String(cString: kind) != "dumb"
  }

  /// The width of the terminal behind standard error or standard output, nil if neither is one.
  public static var columns: Int? {
    for descriptor in [STDERR_FILENO, STDOUT_FILENO] {
      var size = winsize()
      if ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
    }
    return nil
  }

  private static func write(_ text: String, to descriptor: CInt, named name: String) throws(RoostError) {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      let written = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0 {
        if errno == EINTR { continue }
        throw .system("write", errno, "cannot write to \(name)")
      }
      done += written
    }
  }
}
