import CRoostPlatform
import Glibc
import RoostPrimitives

/// A caller's file, read and written past the system's cache where it can be: what is aligned goes by O_DIRECT, over a
/// descriptor of our own so that the caller's flags stay; the rest, and file systems that refuse, by way of the cache.
struct DirectFile: ~Copyable {
  private let descriptor: CInt
  /// The same file by O_DIRECT; -1: it cannot be had.
  private let direct: CInt
  private let access: CInt

  enum Access { case reading, writing }

  init(_ descriptor: CInt, for access: Access) throws(RoostError) {
    self.descriptor = descriptor
    self.access = access == .reading ? O_RDONLY : O_WRONLY
    let flags = fcntl(descriptor, F_GETFL)
    guard flags >= 0 else { throw RoostError(.invalidInput, "\(descriptor) is no open file") }
    direct = open("/proc/self/fd/\(descriptor)", self.access | roost_open_direct | O_CLOEXEC)
  }

  deinit { if direct >= 0 { close(direct) } }

  /// Moves `byteCount` bytes between the file and memory. Returns how many; fewer only at the file's end.
  func transfer(_ memory: UnsafeMutableRawPointer, offset: Int, byteCount: Int) throws(RoostError) -> Int {
    var done = 0
    while done < byteCount {
      let (length, isDirect) = part(memory + done, offset: offset + done, byteCount: byteCount - done)
      let moved = try move(memory + done, offset: offset + done, length, isDirect: isDirect)
      if moved == 0 { break }
      done += moved
    }
    return done
  }

  /// How much comes next, and whether it is aligned.
  private func part(_ memory: UnsafeMutableRawPointer, offset: Int, byteCount: Int) -> (length: Int, isDirect: Bool) {
    let block = Limits.directBlockBytes
    let misalignment = offset % block
    // The file's blocks and the memory's pages must begin together.
    guard direct >= 0, Int(bitPattern: memory) % block == misalignment, byteCount >= block else {
      return (byteCount, false)
    }
    if misalignment > 0 { return (min(byteCount, block - misalignment), false) }
    return (byteCount / block * block, true)
  }

  private func move(
    _ memory: UnsafeMutableRawPointer, offset: Int, _ length: Int, isDirect: Bool
  ) throws(RoostError) -> Int {
    var part = iovec(iov_base: memory, iov_len: length)
    let file = isDirect ? direct : descriptor
    let isReading = access == O_RDONLY
    var moved =
      isReading ? roost_file_read(file, &part, 1, Int64(offset)) : roost_file_write(file, &part, 1, Int64(offset))
    // Some file systems open for direct access and refuse it then; the end of a file is no whole block.
    if isDirect, moved == Int64(-EINVAL) {
      moved =
        isReading
        ? roost_file_read(descriptor, &part, 1, Int64(offset)) : roost_file_write(descriptor, &part, 1, Int64(offset))
    }
    if moved < 0 {
      let number = CInt(-moved)
      if number == EBADF || number == EFAULT {
        throw RoostError(
          .invalidInput, number == EBADF ? "the file is not open for this" : "the address is no memory of this device")
      }
      throw .system(isReading ? "pread" : "pwrite", number, "a file cannot be \(isReading ? "read" : "written")")
    }
    if moved == 0, !isReading { throw .system("pwrite", ENOSPC, "a file takes no more") }
    return Int(moved)
  }
}
