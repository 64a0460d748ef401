import CRoostPlatform
import Glibc
import RoostPrimitives
import Synchronization

/// Anonymous memory in huge pages, with a record of what was handed out. Thread-safe.
final class CPUMemory: Sendable {
  private struct Mapping {
    var byteCount: Int
    /// The memory file behind it, once it is shared; -1: anonymous memory.
    var descriptor: CInt = -1
    var isImported = false
  }

  private struct State {
    var mappings: [UInt: Mapping] = [:]
    var usedBytes = 0
  }

  private let state = Locked(State())
  private let limitBytes: Int
  private let usesHugePages: Bool
  private let populates: Bool
  private let what: String

  init(limitBytes: Int, usesHugePages: Bool, populates: Bool, what: String) {
    self.limitBytes = limitBytes
    self.usesHugePages = usesHugePages
    self.populates = populates
    self.what = what
  }

  deinit {
    state.withLock { state in
      for (address, mapping) in state.mappings { Self.drop(mapping, at: address) }
    }
  }

  /// Bytes handed out, page rounding included.
  var usedBytes: Int { state.withLock { $0.usedBytes } }

  /// Maps at least `byteCount` bytes, aligned to a page, or to a huge page from that size on.
  func allocate(byteCount: Int) throws(RoostError) -> UInt {
    guard byteCount > 0 else {
      throw RoostError(.invalidInput, "cannot allocate \(byteCount) bytes of \(what)")
    }
    let huge = Limits.hugePageByteCount
    let alignment = usesHugePages && byteCount >= huge ? huge : SystemMemory.pageByteCount
    let (padded, overflow) = byteCount.addingReportingOverflow(alignment - 1)
    guard !overflow else { throw exhausted(byteCount) }
    let size = padded / alignment * alignment
    try reserve(size, for: byteCount)
    do throws(RoostError) {
      let address = try map(size, alignment: alignment)
      state.withLock { $0.mappings[address] = Mapping(byteCount: size) }
      return address
    } catch {
      state.withLock { $0.usedBytes -= size }
      throw error
    }
  }

  /// Unmaps what `allocate` gave.
  func free(_ address: UInt) throws(RoostError) {
    let mapping = state.withLock { state -> Mapping? in
      guard let mapping = state.mappings.removeValue(forKey: address) else { return nil }
      if !mapping.isImported { state.usedBytes -= mapping.byteCount }
      return mapping
    }
    guard let mapping else { throw stale(address) }
    Self.drop(mapping, at: address)
  }

  private static func drop(_ mapping: Mapping, at address: UInt) {
    munmap(UnsafeMutableRawPointer(bitPattern: address), mapping.byteCount)
    if mapping.descriptor >= 0 { close(mapping.descriptor) }
  }

  private func stale(_ address: UInt) -> RoostError {
    RoostError(
      .stale, "this \(what) was freed before or never allocated here",
      context: [("address", "0x" + String(address, radix: 16))])
  }

  /// Puts a memory file with the same bytes in the place of what `allocate` gave, once. Returns a descriptor of it, which
  /// is the caller's.
  func share(_ address: UInt, byteCount: Int) throws(RoostError) -> CInt {
    try state.withLock { state throws(RoostError) -> CInt in
      guard var mapping = state.mappings[address], !mapping.isImported else { throw stale(address) }
      guard byteCount > 0, byteCount <= mapping.byteCount else {
        throw RoostError(.invalidInput, "the \(what) to export is shorter than \(byteCount) bytes")
      }
      if mapping.descriptor < 0 {
        mapping.descriptor = try Self.turnIntoFile(address, mapping.byteCount)
        state.mappings[address] = mapping
      }
      let descriptor = fcntl(mapping.descriptor, F_DUPFD_CLOEXEC, 0)
      guard descriptor >= 0 else { throw .system("fcntl", errno, "cannot share \(what)") }
      return descriptor
    }
  }

  private static func turnIntoFile(_ address: UInt, _ byteCount: Int) throws(RoostError) -> CInt {
    let descriptor = roost_memory_file("roost-cpu-memory", 0)
    guard descriptor >= 0 else { throw .system("memfd_create", -descriptor, "cannot share memory") }
    do throws(RoostError) {
      let size = roost_file_allocate(descriptor, 0, Int64(byteCount))
      guard size == 0 else { throw .system("fallocate", -size, "no memory to share \(ByteCount(byteCount))") }
      let sealed = roost_memory_seal_size(descriptor)
      guard sealed == 0 else { throw .system("fcntl", -sealed, "cannot share memory") }
      let memory = UnsafeMutableRawPointer(bitPattern: address)
      var done = 0
      while done < byteCount {
        let written = pwrite(descriptor, memory.map { $0 + done }, byteCount - done, off_t(done))
        guard written > 0 || errno == EINTR else { throw .system("pwrite", errno, "cannot share memory") }
        done += max(written, 0)
      }
      let mapped = mmap(memory, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, 0)
      guard mapped != MAP_FAILED else { throw .system("mmap", errno, "cannot share memory") }
      return descriptor
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// Maps what another process shares.
  func adopt(_ descriptor: CInt, byteCount: Int) throws(RoostError) -> UInt {
    var status = stat()
    guard fstat(descriptor, &status) == 0, byteCount <= status.st_size else {
      throw RoostError(.invalidInput, "the shared \(what) is shorter than \(byteCount) bytes")
    }
    let size = Int(status.st_size)
    guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED else {
      throw .system("mmap", errno, "cannot map shared \(what)")
    }
    let address = UInt(bitPattern: memory)
    state.withLock { $0.mappings[address] = Mapping(byteCount: size, isImported: true) }
    return address
  }

  private func reserve(_ size: Int, for byteCount: Int) throws(RoostError) {
    // Populating more than there is would not fail: the system would kill a process.
    let availableBytes = populates ? SystemMemory.availableBytes : Int.max
    let fits = state.withLock { state -> Bool in
      guard size <= availableBytes, size <= limitBytes - state.usedBytes else { return false }
      state.usedBytes += size
      return true
    }
    if !fits { throw exhausted(byteCount) }
  }

  private func exhausted(_ byteCount: Int) -> RoostError {
    RoostError(
      .outOfResources, "\(ByteCount(byteCount)) of \(what) do not fit",
      context: [
        ("limit", "\(ByteCount(limitBytes))"), ("used", "\(ByteCount(usedBytes))"),
        ("available", "\(ByteCount(SystemMemory.availableBytes))"),
      ])
  }

  private func map(_ size: Int, alignment: Int) throws(RoostError) -> UInt {
    let slack = alignment > SystemMemory.pageByteCount ? alignment : 0
    let mapped = mmap(nil, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != MAP_FAILED else {
      throw RoostError.system("mmap", errno, "cannot map \(ByteCount(size)) of \(what)")
    }
    let start = UInt(bitPattern: mapped)
    let address = (start + UInt(alignment - 1)) / UInt(alignment) * UInt(alignment)
    let before = Int(address - start)
    if before > 0 { munmap(mapped, before) }
    if slack > before { munmap(mapped + before + size, slack - before) }
    let memory = UnsafeMutableRawPointer(bitPattern: address)
    // Both are wishes: without huge pages, or on a kernel before 5.14, the memory is slower at first, not wrong.
    if usesHugePages { madvise(memory, size, MADV_HUGEPAGE) }
    if populates { madvise(memory, size, SystemMemory.populateForWriting) }
    return address
  }
}
