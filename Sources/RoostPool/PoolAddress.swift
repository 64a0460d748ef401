import Glibc
import RoostPrimitives

/// Where workers find a pool. A plain value; `description` can be passed on as text.
public struct PoolAddress: Hashable, Sendable, CustomStringConvertible {
  /// The socket's path, or its name in the abstract namespace.
  let name: String
  let isAbstract: Bool

  /// An anonymous pool of this user on this machine (in this network namespace).
  public static func anonymous(name: String) -> PoolAddress {
    PoolAddress(name: "roost-\(geteuid())-" + name, isAbstract: true)
  }

  /// A pool in `path/NAME.roost`.
  public static func directory(path: String, name: String) -> PoolAddress {
    PoolAddress(name: PoolDirectory.path(of: name, in: path) + "/socket", isAbstract: false)
  }

  private init(name: String, isAbstract: Bool) {
    self.name = name
    self.isAbstract = isAbstract
  }

  /// Parses what `description` gives.
  ///
  /// - Throws: `invalidInput` for anything else.
  public init(parsing text: String) throws(RoostError) {
    let prefix = "unix:"
    let rest = text.dropFirst(prefix.count)
    guard text.hasPrefix(prefix), !rest.isEmpty, rest != "@", !rest.utf8.contains(0) else {
      throw RoostError(.invalidInput, "'\(text)' is not a pool's address; it looks like unix:@NAME or unix:/PATH")
    }
    isAbstract = rest.hasPrefix("@")
    name = String(isAbstract ? rest.dropFirst() : rest)
  }

  /// Calls `body` with the name to give to the socket calls. They take 107 bytes; a longer path is gone to through a
  /// descriptor of its directory.
  func withSocketName(_ body: (_ name: String, _ isAbstract: CInt) -> CInt) -> CInt {
    guard !isAbstract, name.utf8.count > Limits.socketPathBytesMax else { return body(name, isAbstract ? 1 : 0) }
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    let number = open(parts.dropLast().joined(separator: "/"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { return -errno }
    let directory = Descriptor(number)
    return withExtendedLifetime(directory) { body("/proc/self/fd/\(number)/\(parts[parts.count - 1])", 0) }
  }

  /// `unix:@NAME` or `unix:/PATH`.
  public var description: String { (isAbstract ? "unix:@" : "unix:") + name }
}
