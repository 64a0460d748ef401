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

  /// What to give to the socket calls: a path too long for them is gone to through its directory.
  var shortName: String { name }

  /// `unix:@NAME` or `unix:/PATH`.
  public var description: String { (isAbstract ? "unix:@" : "unix:") + name }
}
