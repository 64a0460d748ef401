/// The control groups that limit this process's memory: version 1 and 2, from its own group up to the root, since a
/// limit anywhere above counts. Finding them is pure; reading is one closure.
struct ControlGroups: Hashable, Sendable {
  /// One group: a directory.
  struct Group: Hashable, Sendable {
    var path: String
    var isVersion2: Bool
  }

  /// The groups, the process's own first.
  var groups: [Group]

  /// The groups of this process.
  static func current() -> ControlGroups {
    ControlGroups(
      membership: SmallFile.text("/proc/self/cgroup") ?? "", mounts: SmallFile.text("/proc/self/mountinfo") ?? "")
  }

  /// Finds the groups.
  ///
  /// - Parameters:
  ///   - membership: the text of /proc/self/cgroup: `ID:CONTROLLERS:PATH` a line.
  ///   - mounts: the text of /proc/self/mountinfo: `ID PARENT DEVICE ROOT MOUNTPOINT OPTIONS... - TYPE SOURCE SUPER`.
  init(membership: String, mounts: String) {
    groups = []
    for line in membership.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let isVersion2 = fields[0] == "0" && fields[1].isEmpty
      guard isVersion2 || fields[1].split(separator: ",").contains("memory") else { continue }
      guard let mount = ControlGroups.mount(isVersion2: isVersion2, in: mounts) else { continue }
      groups += ControlGroups.chain(String(fields[2]), mount).map { Group(path: $0, isVersion2: isVersion2) }
    }
  }

  private static func mount(isVersion2: Bool, in mounts: String) -> (root: String, point: String)? {
    for line in mounts.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard let dash = words.firstIndex(of: "-"), dash >= 5, words.count > dash + 3 else { continue }
      let isMatch =
        isVersion2
        ? words[dash + 1] == "cgroup2"
        : words[dash + 1] == "cgroup" && words[dash + 3].split(separator: ",").contains("memory")
      if isMatch { return (unescaped(words[3]), unescaped(words[4])) }
    }
    return nil
  }

  /// mountinfo writes blanks and backslashes as three octal digits.
  private static func unescaped(_ word: Substring) -> String {
    var result: [UInt8] = []
    var bytes = Array(word.utf8)[...]
    while let byte = bytes.popFirst() {
      let digits = bytes.prefix(3)
      if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ $0 >= 48 && $0 < 56 }) {
        result.append(digits.reduce(UInt8(0)) { $0 &* 8 &+ ($1 - 48) })
        bytes = bytes.dropFirst(3)
      } else {
        result.append(byte)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// The directories from the group up to the mount point. A path outside the mount's root (a container that sees only
  /// its own part of the tree) means the mount point itself.
  private static func chain(_ path: String, _ mount: (root: String, point: String)) -> [String] {
    let root = mount.root == "/" ? "" : mount.root
    var below = ""
    if path == root || path.hasPrefix(root + "/") { below = String(path.dropFirst(root.count)) }
    if below.split(separator: "/").contains("..") { below = "" }
    var result: [String] = []
    var parts = below.split(separator: "/")
    while !parts.isEmpty {
      result.append(mount.point + "/" + parts.joined(separator: "/"))
      parts.removeLast()
    }
    return result + [mount.point]
  }

  /// The least room in any group: bytes until the limit, with page cache that the kernel gives back at need counted
  /// as free. nil: no limit anywhere.
  ///
  /// - Parameter read: the text of a file, nil if it is not there.
  func room(read: (String) -> String?) -> (bytes: Int, limitBytes: Int, file: String)? {
    var least: (bytes: Int, limitBytes: Int, file: String)?
    for group in groups {
      for (file, limit) in ControlGroups.limits(of: group, read) {
        guard let used = ControlGroups.used(by: group, read) else { continue }
        let bytes = max(0, limit - used)
        if bytes < least?.bytes ?? .max { least = (bytes, limit, file) }
      }
    }
    return least
  }

  /// Version 2 has two limits: beyond `high` the kernel does not kill but slows the process down to a crawl.
  private static func limits(of group: Group, _ read: (String) -> String?) -> [(file: String, bytes: Int)] {
    let names = group.isVersion2 ? ["memory.max", "memory.high"] : ["memory.limit_in_bytes"]
    return names.compactMap { name in
      let file = group.path + "/" + name
      guard let text = read(file), let bytes = Int(text.filter { !$0.isWhitespace }) else { return nil }
      // Version 1 writes "no limit" as the largest multiple of a page.
      return bytes > Limits.controlGroupLimitBytesMax ? nil : (file, bytes)
    }
  }

  private static func used(by group: Group, _ read: (String) -> String?) -> Int? {
    let file = group.path + (group.isVersion2 ? "/memory.current" : "/memory.usage_in_bytes")
    guard let text = read(file), let used = Int(text.filter { !$0.isWhitespace }) else { return nil }
    let name = group.isVersion2 ? "inactive_file" : "total_inactive_file"
    let reclaimable = read(group.path + "/memory.stat").flatMap { SmallFile.number(name, in: $0) } ?? 0
    return max(0, used - reclaimable)
  }
}
