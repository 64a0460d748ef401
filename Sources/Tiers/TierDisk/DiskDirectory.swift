import CRoostPlatform
import Glibc
import RoostPrimitives
import RoostStorage

/// How pages are moved between memory and a real drive.
public enum DiskIO: String, Sendable, CaseIterable {
  /// The best that works here.
  case automatic
  /// io_uring, past the page cache.
  case ring
  /// Threads with preadv and pwritev, past the page cache.
  case threads
  /// Threads with preadv and pwritev, through the page cache.
  case cached
}

/// A real directory, mode 0700 with files of mode 0600: what is in it is user data.
public final class DiskDirectory: StorageDirectory {
  /// The path that it was opened by.
  public let path: String
  private let descriptor: Descriptor
  private let io: DiskIO
  private let pinnedBytesMax: Int?

  /// Opens a directory, made if it is missing (its parent must be there). `pinnedBytesMax`: memory that a queue may pin;
  /// the limit on locked memory if nobody says.
  ///
  /// - Throws: `invalidInput` if it belongs to somebody else or is no directory; what the system says.
  public init(_ path: String, io: DiskIO = .automatic, pinnedBytesMax: Int? = nil) throws(RoostError) {
    if mkdir(path, 0o700) != 0, errno != EEXIST {
      throw .system("mkdir", errno, "cannot make the directory of a disk tier", context: [("path", path)])
    }
    let number = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard number >= 0 else {
      throw .system("open", errno, "cannot open the directory of a disk tier", context: [("path", path)])
    }
    descriptor = Descriptor(number)
    self.path = path
    self.io = io
    self.pinnedBytesMax = pinnedBytesMax
    var status = stat()
    guard fstat(number, &status) == 0, status.st_uid == geteuid() else {
      throw RoostError(.invalidInput, "the directory of a disk tier must be your own", context: [("path", path)])
    }
    guard fchmod(number, 0o700) == 0 else {
      throw .system("fchmod", errno, "cannot protect the directory of a disk tier", context: [("path", path)])
    }
  }

  /// Opens a directory to look at it: nothing is made or changed.
  public init(existing path: String) throws(RoostError) {
    let number = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else {
      throw .system("open", errno, "cannot open the directory of a disk tier", context: [("path", path)])
    }
    descriptor = Descriptor(number)
    self.path = path
    io = .cached
    pinnedBytesMax = nil
  }

  /// The names in the directory but `.` and `..`.
  public func names() throws(RoostError) -> [String] {
    let copy = openat(descriptor.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0, let stream = fdopendir(copy) else {
      let error = RoostError.system("opendir", errno, "cannot list the directory", context: [("path", path)])
      if copy >= 0 { close(copy) }
      throw error
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
        field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// Opens a file of ours, never through a symbolic link.
  public func open(_ name: String) throws(RoostError) -> any StorageFile {
    let file = try descriptor(of: name, O_RDWR)
    return try DiskFile(plain: file, direct: openDirect(name), path: path + "/" + name)
  }

  /// Makes and allocates a file; where the file system cannot allocate, by writing zeros.
  public func create(_ name: String, byteCount: Int) throws(RoostError) -> any StorageFile {
    try remove(name)
    let file = try descriptor(of: name, O_RDWR | O_CREAT | O_EXCL)
    do throws(RoostError) {
      if byteCount > 0 { try allocate(file, byteCount) }
      return try DiskFile(plain: file, direct: openDirect(name), path: path + "/" + name)
    } catch {
      _ = unlinkat(descriptor.number, name, 0)
      throw error
    }
  }

  private func allocate(_ file: Descriptor, _ byteCount: Int) throws(RoostError) {
    let result = roost_file_allocate(file.number, 0, Int64(byteCount))
    if result == 0 { return }
    guard result == -EOPNOTSUPP || result == -ENOSYS else {
      throw .system("fallocate", -result, "cannot allocate a file of a disk tier", context: [("path", path)])
    }
    let zeros = AlignedMemory(byteCount: min(byteCount, Limits.zeroStepBytes))
    let target = DiskFile(plain: file, direct: nil, path: path)
    for offset in stride(from: 0, to: byteCount, by: zeros.bytes.count) {
      let count = min(zeros.bytes.count, byteCount - offset)
      try target.write(UnsafeRawBufferPointer(rebasing: zeros.bytes[..<count]), at: offset)
    }
  }

  /// Renames within the directory.
  public func rename(_ name: String, to newName: String) throws(RoostError) {
    guard renameat(descriptor.number, name, descriptor.number, newName) == 0 else {
      throw .system("renameat", errno, "cannot rename '\(name)'", context: [("path", path)])
    }
  }

  /// Removes a file.
  public func remove(_ name: String) throws(RoostError) {
    guard unlinkat(descriptor.number, name, 0) == 0 || errno == ENOENT else {
      throw .system("unlinkat", errno, "cannot remove '\(name)'", context: [("path", path)])
    }
  }

  /// Locks by `flock` until the file is let go of, or with the last process that has it: of an owner that was killed the
  /// children count that it forked while it had the tier open. The file holds the owner's process id, for the message.
  public func lock(_ name: String) throws(RoostError) -> any StorageFile {
    let file = try descriptor(of: name, O_RDWR | O_CREAT)
    let result = roost_file_lock(file.number, 1)
    guard result == 0 || result == -EWOULDBLOCK else {
      throw .system("flock", -result, "cannot lock the directory of a disk tier", context: [("path", path)])
    }
    guard result == 0 else {
      var text = [UInt8](repeating: 0, count: 32)
      let count = text.withUnsafeMutableBytes { Glibc.read(file.number, $0.baseAddress, $0.count) }
      let pid = String(decoding: text[..<max(0, count)], as: UTF8.self).prefix { $0.isNumber }
      let owner = pid.isEmpty ? "another process" : "process \(pid)"
      throw RoostError(
        .busy, "the directory of the disk tier is in use by \(owner); stop it, or choose another directory",
        context: [("path", path)])
    }
    let owner = Array("\(getpid())\n".utf8)
    _ = ftruncate(file.number, 0)
    // Only a message depends on it.
    _ = owner.withUnsafeBytes { Glibc.write(file.number, $0.baseAddress, $0.count) }
    return DiskFile(plain: file, direct: nil, path: path + "/" + name, locker: getpid())
  }

  /// Makes names durable.
  public func sync() throws(RoostError) {
    guard fsync(descriptor.number) == 0 else {
      throw .system("fsync", errno, "cannot make the directory durable", context: [("path", path)])
    }
  }

  /// io_uring where it is allowed, threads elsewhere.
  public func makeQueue(depth: Int) throws(RoostError) -> any StorageQueue {
    if io == .automatic || io == .ring {
      do throws(RoostError) {
        return try RingQueue(depth: depth, isDirect: canGoDirect, pinnedBytesMax: pinnedBytesMax)
      } catch {
        if io == .ring { throw error }
        Log.write(.info, "disk tier: io_uring is not available here, using threads: \(error)")
      }
    }
    return try ThreadQueue(threadCount: min(depth, Limits.threadCountMax), isDirect: canGoDirect)
  }

  /// Whether files here can be opened past the page cache: tmpfs before Linux 6.6, for one, cannot.
  private var canGoDirect: Bool {
    guard io != .cached else { return false }
    let name = ".direct"
    guard (try? descriptor(of: name, O_RDWR | O_CREAT)) != nil else { return false }
    defer { _ = unlinkat(descriptor.number, name, 0) }
    return (try? openDirect(name)) ?? nil != nil
  }

  private func openDirect(_ name: String) throws(RoostError) -> Descriptor? {
    guard io != .cached else { return nil }
    do throws(RoostError) {
      return try descriptor(of: name, O_RDWR | roost_open_direct)
    } catch {
      guard error.code == .invalidInput || error.code == .unsupported else { throw error }
      return nil
    }
  }

  private func descriptor(of name: String, _ flags: CInt) throws(RoostError) -> Descriptor {
    let number = openat(descriptor.number, name, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard number >= 0 else {
      throw .system("openat", errno, "cannot open '\(name)' of a disk tier", context: [("path", path)])
    }
    return Descriptor(number)
  }
}
