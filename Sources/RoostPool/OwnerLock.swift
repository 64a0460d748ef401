import CRoostPlatform
import Glibc
import RoostPrimitives
import Synchronization

/// The lock that makes a process the owner of a pool's directory. It goes with the process, however that ends, and is
/// not handed on to children (a record lock), whose mappings are gone too (MADV_DONTFORK).
///
/// Record locks have two traps: they do not exclude within a process, and closing any descriptor of the file drops
/// them. So every lock file is opened here only, and the ones held are remembered.
final class OwnerLock: Sendable {
  private struct FileNumber: Hashable {
    var device: dev_t
    var inode: ino_t
  }

  private static let held = Locked<Set<FileNumber>>([])
  private static let fileName = "lock"

  private let file: Locked<Descriptor?>
  private let number: FileNumber

  private init(_ file: Descriptor, _ number: FileNumber) {
    self.file = Locked(file)
    self.number = number
  }

  deinit { release() }

  /// Lets go of the lock; again does nothing.
  func release() {
    OwnerLock.held.withLock { held in
      // The file is closed, which drops the lock, before the number is free: both under the same lock as `take`.
      let wasHeld = file.withLock { file in
        defer { file = nil }
        return file != nil
      }
      if wasHeld { held.remove(number) }
    }
  }

  /// What became of an attempt.
  enum Outcome {
    case taken(OwnerLock)
    /// The process that has it, nil if not visible from here.
    case held(by: Int32?)
    /// The directory was removed meanwhile.
    case vanished
  }

  /// Tries to take the lock of the pool in `directory`, which was opened as `path`.
  static func take(in directory: Descriptor, path: String) throws(RoostError) -> Outcome {
    do {
      return try held.withLock { held throws(RoostError) in
        try take(in: directory, path: path, &held)
      }
    } catch {
      if error.code == .notFound { return .vanished }
      throw error
    }
  }

  private static func take(
    in directory: Descriptor, path: String, _ held: inout Set<FileNumber>
  ) throws(RoostError) -> Outcome {
    var before = stat()
    let isThere = fstatat(directory.number, fileName, &before, AT_SYMLINK_NOFOLLOW) == 0
    if isThere, held.contains(FileNumber(device: before.st_dev, inode: before.st_ino)) { return .held(by: getpid()) }
    let file = try Descriptor(in: directory, fileName, O_RDWR | O_CREAT)
    let result = roost_file_lock_record(file.number)
    guard result >= 0 else { throw .system("fcntl", -result, "cannot lock the pool", context: [("path", path)]) }
    if result > 0 { return .held(by: result == Int32.max ? nil : result) }
    // Whoever sweeps may have removed the file, or the directory, between the opening and the lock.
    let status = try file.status()
    var atPath = stat()
    guard stat(path + "/" + fileName, &atPath) == 0, atPath.st_ino == status.st_ino, atPath.st_dev == status.st_dev
    else { return .vanished }
    let number = FileNumber(device: status.st_dev, inode: status.st_ino)
    held.insert(number)
    return .taken(OwnerLock(file, number))
  }
}
