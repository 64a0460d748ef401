/// An operating error: what went wrong, where, and what to do about it.
///
/// Programmer errors trap. Everything that a caller, a file, a peer or a device can cause is a value of this type.
/// A `RoostError` is immutable and may cross threads. `description` is one line, for logs and terminals.
public struct RoostError: Error, Sendable, CustomStringConvertible {
  /// What kind of thing went wrong. New codes may be added; a caller switches with a `default`.
  public enum Code: String, Sendable, CaseIterable {
    /// An argument, option, file or message from outside is malformed or out of range.
    case invalidInput
    /// A named thing (file, pool, device, policy, lease) does not exist.
    case notFound
    /// The thing is in use by somebody else, for one a pool that has an owner.
    case busy
    /// Memory, slots, file descriptors or another countable resource ran out.
    case outOfResources
    /// The implementation lacks the capability that was asked for.
    case unsupported
    /// A deadline passed.
    case timedOut
    /// The operation was cancelled before it started.
    case cancelled
    /// Stored bytes, a table or a message do not pass their check.
    case corrupt
    /// A handle, lease, generation or attachment is no longer the current one.
    case stale
    /// A device or a peer process is gone.
    case lost
    /// A system call failed in a way that none of the codes above names.
    case system
  }

  /// The kind of error.
  public let code: Code
  /// One sentence without a full stop: what happened and, where it helps, what to do.
  public let message: String
  /// Name and value pairs that say where: paths, sizes, line numbers, errno.
  public let context: [(name: String, value: String)]
  /// The errors that led to this one, nearest first.
  public let causes: [RoostError]

  /// Creates an error; `cause` and its own causes are kept.
  public init(
    _ code: Code, _ message: String, context: [(name: String, value: String)] = [], cause: RoostError? = nil
  ) {
    self.code = code
    self.message = message
    self.context = context
    self.causes = cause.map { [$0.withoutCauses] + $0.causes } ?? []
  }

  /// One line: message, context in brackets, causes after a colon.
  public var description: String {
    var text = message
    if !context.isEmpty {
      text += " (" + context.map { "\($0.name)=\($0.value)" }.joined(separator: ", ") + ")"
    }
    for cause in causes { text += ": \(cause)" }
    return text
  }

  private var withoutCauses: RoostError { RoostError(code, message, context: context) }
}
