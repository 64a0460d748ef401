import CRoostPlatform
import Glibc
import RoostPrimitives
import Synchronization

/// Makes the files that chunks lie in. Thread-safe.
final class ChunkStore: Sendable {
  private let name: String
  private let directory: Descriptor?
  /// The page size of the next memory file, 0 for small pages; goes to 0 when the reserved ones run out.
  private let hugePageBytes: Atomic<Int>

  /// Chunks in files of `directory`, or, without one, in memory files.
  init(name: String, directory: Descriptor?, hugePages: PoolConfiguration.HugePages) {
    self.name = name
    self.directory = directory
    if directory == nil, case .reserved(let bytes) = hugePages {
      hugePageBytes = Atomic(bytes)
    } else {
      hugePageBytes = Atomic(0)
    }
  }

  static func fileName(chunk: Int) -> String {
    let digits = String(chunk)
    return "chunk-" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }

  /// Makes a chunk's file, of full size and without memory behind it.
  func make(chunk: Int, byteCount: Int) throws(RoostError) -> Descriptor {
    let file: Descriptor
    if let directory {
      let name = ChunkStore.fileName(chunk: chunk)
      _ = unlinkat(directory.number, name, 0)
      file = try Descriptor(in: directory, name, O_RDWR | O_CREAT | O_EXCL)
    } else {
      file = Descriptor(try memoryFile())
    }
    guard ftruncate(file.number, off_t(byteCount)) == 0 else {
      throw .system("ftruncate", errno, "cannot size chunk \(chunk) of the pool", context: [("bytes", "\(byteCount)")])
    }
    return file
  }

  private func memoryFile() throws(RoostError) -> CInt {
    let pageBytes = hugePageBytes.load(ordering: .relaxed)
    let result = roost_memory_file("roost-" + name, pageBytes)
    if result < 0, pageBytes > 0 {
      fallBackToSmallPages("the kernel has none of \(ByteCount(pageBytes))")
      return try memoryFile()
    }
    return try Descriptor.check(result, "memfd_create", "cannot make a memory file; raise ulimit -n if files ran out")
  }

  /// Whether chunks now come on reserved huge pages.
  var usesReservedPages: Bool { hugePageBytes.load(ordering: .relaxed) > 0 }

  /// From now on, chunks have the system's pages. Says so once.
  func fallBackToSmallPages(_ reason: String) {
    guard hugePageBytes.exchange(0, ordering: .relaxed) > 0 else { return }
    Log.write(
      .warning, "pool '\(name)': reserved huge pages ran out (\(reason)), going on with others; raise vm.nr_hugepages")
  }

  /// A finished chunk's file: nobody can make it shorter any more where it is a memory file.
  func seal(_ file: Descriptor) {
    if directory == nil { _ = roost_memory_seal_size(file.number) }
  }

  /// The file of a chunk of a kept pool, if it is there in full and really allocated.
  func existing(chunk: Int, byteCount: Int) -> Descriptor? {
    guard let directory, let file = try? Descriptor(in: directory, ChunkStore.fileName(chunk: chunk), O_RDWR),
      let status = try? file.status(), status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
      Int(status.st_size) == byteCount, Int(status.st_blocks) * 512 >= byteCount
    else { return nil }
    return file
  }

  /// Removes a chunk's file.
  func remove(chunk: Int) {
    if let directory { _ = unlinkat(directory.number, ChunkStore.fileName(chunk: chunk), 0) }
  }
}
