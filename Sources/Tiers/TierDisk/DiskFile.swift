import CRoostPlatform
import Glibc
import RoostPrimitives
import RoostStorage

/// A file descriptor that is closed with its last reference.
final class Descriptor: Sendable {
  let number: CInt
  init(_ number: CInt) { self.number = number }
  deinit { close(number) }
}

/// A real file: opened once through the page cache, for headers and small files, and once past it, for pages.
final class DiskFile: StorageFile {
  private let plain: Descriptor
  private let direct: Descriptor?
  private let path: String
  /// The process that has locked the file, 0 for none.
  private let locker: pid_t

  init(plain: Descriptor, direct: Descriptor?, path: String, locker: pid_t = 0) {
    self.plain = plain
    self.direct = direct
    self.path = path
    self.locker = locker
  }

  /// A child that another thread is about to start has every descriptor until it runs its program: closing alone would
  /// leave the lock to it for that moment. A forked child must not take the lock from its parent.
  deinit {
    if locker == getpid() { roost_file_unlock(plain.number) }
  }

  /// What a queue works on.
  var queueDescriptor: CInt { (direct ?? plain).number }

  /// Whether pages go past the page cache.
  var isDirect: Bool { direct != nil }

  var byteCount: Int {
    var status = stat()
    return fstat(plain.number, &status) == 0 ? Int(status.st_size) : 0
  }

  var allocatedBytes: Int { max(0, Int(roost_file_allocated_bytes(plain.number))) }

  func read(into memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(RoostError) -> Int {
    var done = 0
    while done < memory.count {
      var part = iovec(iov_base: memory.baseAddress.map { $0 + done }, iov_len: memory.count - done)
      let result = roost_file_read(plain.number, &part, 1, Int64(offset + done))
      guard result >= 0 else { throw failure("preadv", Int(-result), "cannot read") }
      if result == 0 { break }
      done += Int(result)
    }
    return done
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(RoostError) {
    var done = 0
    while done < bytes.count {
      var part = iovec(
        iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress.map { $0 + done }), iov_len: bytes.count - done)
      let result = roost_file_write(plain.number, &part, 1, Int64(offset + done))
      guard result > 0 else { throw failure("pwritev", result < 0 ? Int(-result) : Int(EIO), "cannot write") }
      done += Int(result)
    }
  }

  func sync() throws(RoostError) {
    guard fdatasync(plain.number) == 0 else { throw failure("fdatasync", Int(errno), "cannot make durable") }
  }

  private func failure(_ call: String, _ number: Int, _ what: String) -> RoostError {
    .system(call, CInt(number), "\(what) the file of a disk tier", context: [("path", path)])
  }
}
