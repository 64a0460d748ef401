/// The tightest memory limit of this process's control groups, for reports.
public struct ControlGroupLimit: Hashable, Sendable {
  /// Bytes that may still be taken.
  public let roomBytes: Int
  /// The limit.
  public let limitBytes: Int
  /// The file to raise it in.
  public let file: String

  /// The limit that leaves the least room; nil: there is none.
  public static func current() -> ControlGroupLimit? {
    ControlGroups.current().room(read: SmallFile.text).map {
      ControlGroupLimit(roomBytes: $0.bytes, limitBytes: $0.limitBytes, file: $0.file)
    }
  }
}
