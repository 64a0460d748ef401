import Glibc
import RoostPrimitives
import Synchronization

/// Anonymous memory in huge pages, with a record of what was handed out. Thread-safe.
final class CPUMemory: Sendable {
  private struct State {
    var mappings: [UInt: Int] = [:]
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
      for (address, byteCount) in state.mappings { munmap(UnsafeMutableRawPointer(bitPattern: address), byteCount) }
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
      state.withLock { $0.mappings[address] = size }
      return address
    } catch {
      state.withLock { $0.usedBytes -= size }
      throw error
    }
  }

  /// Unmaps what `allocate` gave.
  func free(_ address: UInt) throws(RoostError) {
    let size = state.withLock { state -> Int? in
      guard let size = state.mappings.removeValue(forKey: address) else { return nil }
      state.usedBytes -= size
      return size
    }
    guard let size else {
      throw RoostError(
        .stale, "this \(what) was freed before or never allocated here",
        context: [("address", "0x" + String(address, radix: 16))])
    }
    munmap(UnsafeMutableRawPointer(bitPattern: address), size)
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
