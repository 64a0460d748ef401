import Glibc
import Synchronization

/// Log lines on standard error, one `write(2)` each, so that lines of several threads and processes never mix.
///
/// The level comes from `ROOST_LOG` (`error`, `warning`, `info`, `debug`), `warning` if unset. Thread-safe.
public enum Log {
  /// How much a line matters.
  public enum Level: Int, Sendable, Comparable, CaseIterable {
    /// Something is broken and somebody must act.
    case error
    /// Roost does less than asked; the line says what to do.
    case warning
    /// What a person who watches wants to see.
    case info
    /// For developers.
    case debug

    /// Orders by verbosity.
    public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }

    /// The name in `ROOST_LOG` and in the line.
    public var name: String {
      switch self {
      case .error: "error"
      case .warning: "warning"
      case .info: "info"
      case .debug: "debug"
      }
    }
  }

  private static let chosen = Atomic<Int>(levelFromEnvironment().rawValue)

  /// Lines above this level are dropped.
  public static var level: Level {
    get { Level(rawValue: chosen.load(ordering: .relaxed)) ?? .warning }
    set { chosen.store(newValue.rawValue, ordering: .relaxed) }
  }

  /// Writes one line if `level` is on; the text is only made then. Newlines in it become spaces.
  public static func write(_ level: Level, _ text: @autoclosure () -> String) {
    guard level <= self.level else { return }
    let line = "roost: \(level.name): " + text().map { $0 == "\n" ? " " : String($0) }.joined() + "\n"
    Array(line.utf8).withUnsafeBytes { bytes in
      // A log line that cannot be written has nowhere to be reported.
      _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
  }

  private static func levelFromEnvironment() -> Level {
    guard let value = getenv("ROOST_LOG") else { return .warning }
    let name = String(cString: value)
    return Level.allCases.first { $0.name == name } ?? .warning
  }
}
