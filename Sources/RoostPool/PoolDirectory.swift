import CRoostPlatform
import Glibc
import RoostPrimitives

/// The directory of one pool, locked: `PATH/NAME.roost` with the files `lock`, `members`, `table`, `socket` and
/// `chunk-NNNN`. Files have mode 0600, the directory 0700.
final class PoolDirectory: Sendable {
  static let suffix = ".roost"
  private static let contentNames = ["socket", "table"]

  let path: String
  let descriptor: Descriptor
  private let lock: OwnerLock

  private init(path: String, descriptor: Descriptor, lock: OwnerLock) {
    self.path = path
    self.descriptor = descriptor
    self.lock = lock
  }

  static func path(of name: String, in parent: String) -> String { parent + "/" + name + suffix }

  /// Makes the directory where it is missing, and takes its lock.
  ///
  /// - Throws: `busy`, with the pid, if another process owns the pool; `invalidInput` if something else is there.
  static func open(name: String, in parent: String) throws(RoostError) -> PoolDirectory {
    let path = path(of: name, in: parent)
    let patience = Deadline.after(seconds: Limits.lockPatienceSeconds)
    for _ in 0..<Limits.openAttemptsMax {
      if mkdir(path, 0o700) != 0, errno != EEXIST {
        throw .system("mkdir", errno, "cannot make the pool's directory", context: [("path", path)])
      }
      guard let descriptor = try directory(path) else { continue }
      switch try OwnerLock.take(in: descriptor, path: path) {
      case .taken(let lock): return PoolDirectory(path: path, descriptor: descriptor, lock: lock)
      case .held(let pid):
        if !patience.hasPassed() {
          usleep(5000)
          continue
        }
        let owner = pid.map { "process \($0)" } ?? "another process"
        throw RoostError(
          .busy, "the pool '\(name)' is owned by \(owner); stop it, or choose another name", context: [("path", path)])
      case .vanished: continue
      }
    }
    throw RoostError(.busy, "the pool's directory keeps being removed by others", context: [("path", path)])
  }

  /// Opens a pool's directory of ours; nil if it is not there (any more).
  private static func directory(_ path: String) throws(RoostError) -> Descriptor? {
    let number = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    if number < 0, errno == ENOENT { return nil }
    guard number >= 0 else {
      throw .system("open", errno, "cannot open the pool's directory", context: [("path", path)])
    }
    let descriptor = Descriptor(number)
    let status = try descriptor.status()
    guard status.st_uid == geteuid() else {
      throw RoostError(.invalidInput, "the pool's directory belongs to another user", context: [("path", path)])
    }
    guard fchmod(number, 0o700) == 0 else {
      throw .system("fchmod", errno, "cannot protect the pool's directory", context: [("path", path)])
    }
    return descriptor
  }

  /// Makes sure that no process of a former owner can still write into the pool's memory: each worker has the file
  /// `members` locked as long as it lives. Waits a moment, since workers leave when their owner has gone.
  ///
  /// - Throws: `busy` if they stay.
  func waitForFormerMembers(until deadline: Deadline) throws(RoostError) {
    let file = try members()
    while true {
      let result = roost_file_lock(file.number, 1)
      if result == 0 { return }
      guard result == -EWOULDBLOCK else { throw .system("flock", -result, "cannot lock the pool's member file") }
      guard !deadline.hasPassed() else {
        throw RoostError(
          .busy, "workers of the pool's former owner are still attached; stop them", context: [("path", path)])
      }
      usleep(5000)
    }
  }

  /// A fresh opening of the member file.
  func members() throws(RoostError) -> Descriptor { try Descriptor(in: descriptor, "members", O_RDWR | O_CREAT) }

  /// Removes everything but the locks: the pool starts empty.
  func removeContents() {
    for name in PoolDirectory.contentNames { _ = unlinkat(descriptor.number, name, 0) }
    for name in PoolDirectory.entries(of: descriptor) where name.hasPrefix("chunk-") {
      _ = unlinkat(descriptor.number, name, 0)
    }
  }

  /// Removes the pool's directory. The lock file goes last, so that a half-removed pool is still locked.
  func removeAll() {
    removeContents()
    _ = unlinkat(descriptor.number, "members", 0)
    _ = unlinkat(descriptor.number, "lock", 0)
    _ = rmdir(path)
  }

  /// Removes the directory if there is nothing in it that a next owner could want.
  func removeUnlessKept() {
    let isKept = (try? KeptTable(in: self, boot: BootToken.current()))?.identity.isKept ?? false
    if !isKept { removeAll() }
  }

  /// Lets the next owner in.
  func release() { lock.release() }

  /// The names in a directory, at most `Limits.sweepCountMax`; none if it cannot be read.
  private static func entries(of directory: Descriptor) -> [String] {
    let copy = openat(directory.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0, let stream = fdopendir(copy) else {
      if copy >= 0 { close(copy) }
      return []
    }
    defer { closedir(stream) }
    var names: [String] = []
    while names.count < Limits.sweepCountMax, let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
        field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  // MARK: Sweep

  /// Removes pools in `parent` whose owner is gone and that nobody can adopt: not kept, of another boot, or damaged.
  /// Returns the names removed. Never touches what is not ours, is locked, or has a former worker.
  static func sweep(_ parent: String, except own: String, boot: BootToken) -> [String] {
    let number = Glibc.open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { return [] }
    var removed: [String] = []
    for entry in entries(of: Descriptor(number)) where entry.hasSuffix(suffix) {
      let name = String(entry.dropLast(suffix.count))
      guard name != own, PoolConfiguration.isName(name) else { continue }
      if sweepOne(path(of: name, in: parent), in: parent, boot: boot) { removed.append(name) }
    }
    return removed
  }

  private static func sweepOne(_ path: String, in parent: String, boot: BootToken) -> Bool {
    // Without a lock file it is not a pool, or one whose maker died at its first step and left it empty.
    guard access(path + "/lock", F_OK) == 0 else { return rmdir(path) == 0 }
    guard let descriptor = try? directory(path), let outcome = try? OwnerLock.take(in: descriptor, path: path),
      case .taken(let lock) = outcome
    else { return false }
    let pool = PoolDirectory(path: path, descriptor: descriptor, lock: lock)
    if let table = try? KeptTable(in: pool, boot: boot), table.identity.isKept { return false }
    guard let members = try? pool.members(), roost_file_lock(members.number, 1) == 0 else { return false }
    // Moved away first, since giving gigabytes back takes a while, in which the name should be free. Should this
    // process die meanwhile, the new name is swept like any other.
    let aside = PoolDirectory.path(of: "swept-\(UInt64.random(in: 0 ... .max))", in: parent)
    guard rename(path, aside) == 0 else { return false }
    PoolDirectory(path: aside, descriptor: descriptor, lock: lock).removeAll()
    return true
  }
}

/// A table that lies in a pool's directory, its header read and found good.
struct KeptTable {
  let file: Descriptor
  let layout: TableLayout
  let identity: TableIdentity

  /// Reads the header.
  ///
  /// - Throws: `notFound` if there is no table; `corrupt`, `stale` or `unsupported` if it is of no use.
  init(in directory: PoolDirectory, boot: BootToken) throws(RoostError) {
    file = try Descriptor(in: directory.descriptor, "table", O_RDWR)
    let status = try file.status()
    guard status.st_mode & S_IFMT == S_IFREG, Int(status.st_size) >= Int(ROOST_TABLE_HEADER_BYTES) else {
      throw RoostError(.corrupt, "the slot table is cut short")
    }
    let header = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Int(ROOST_TABLE_HEADER_BYTES), alignment: MemoryLayout<roost_table_header>.alignment)
    defer { header.deallocate() }
    guard let start = header.baseAddress, pread(file.number, start, header.count, 0) == header.count else {
      throw RoostError(.corrupt, "the slot table cannot be read")
    }
    (layout, identity) = try TableHeader.read(start, fileBytes: Int(status.st_size), boot: boot)
  }
}
