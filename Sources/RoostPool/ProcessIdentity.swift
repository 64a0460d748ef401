import Glibc
import RoostPrimitives

/// A process, told from a later one with the same number by its start time.
struct ProcessIdentity: Hashable, Sendable {
  var pid: UInt32
  /// Clock ticks since boot, 0 if unknown.
  var startTime: UInt64

  /// This process.
  static var current: ProcessIdentity {
    ProcessIdentity(pid: UInt32(bitPattern: getpid()), startTime: startTime(of: "self") ?? 0)
  }

  /// Field 22 of /proc/PID/stat. The second field, a name in parentheses, may hold anything, so fields are counted
  /// from the last parenthesis on.
  private static func startTime(of process: String) -> UInt64? {
    guard let text = SmallFile.text("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    // The first field after the name is field 3.
    return fields.count > 19 ? UInt64(fields[19]) : nil
  }
}

/// Which boot of which kernel this is: shared memory of another one holds nothing to believe.
struct BootToken: Hashable, Sendable {
  var words: (UInt64, UInt64)

  static func == (left: BootToken, right: BootToken) -> Bool { left.words == right.words }

  func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

  /// The kernel's random boot id.
  ///
  /// - Throws: `system` where /proc is not mounted.
  static func current() throws(RoostError) -> BootToken {
    let path = "/proc/sys/kernel/random/boot_id"
    guard let line = SmallFile.line(path), let token = BootToken(line) else {
      throw RoostError(.system, "cannot read the boot id of this machine; is /proc mounted?", context: [("path", path)])
    }
    return token
  }

  /// Parses 32 hexadecimal digits; hyphens are skipped.
  init?(_ text: String) {
    let digits = text.filter { $0 != "-" }
    guard digits.utf8.count == 32, let high = UInt64(digits.prefix(16), radix: 16),
      let low = UInt64(digits.suffix(16), radix: 16)
    else { return nil }
    words = (high, low)
  }

  init(words: (UInt64, UInt64)) { self.words = words }
}
