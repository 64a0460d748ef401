import Glibc
import RoostDevice
import RoostPrimitives

/// What the kernel says about memory.
enum SystemMemory {
  /// The size of an ordinary page.
  static let pageByteCount = Int(sysconf(CInt(_SC_PAGESIZE)))

  /// Installed memory.
  static let installedBytes = sysconf(CInt(_SC_PHYS_PAGES)) * pageByteCount

  /// `MADV_POPULATE_WRITE` and `MADV_POPULATE_READ` of Linux 5.14 (include/uapi/asm-generic/mman-common.h), which the
  /// C library's headers may be too old to name.
  static let populateForWriting: CInt = 23
  /// See `populateForWriting`.
  static let populateForReading: CInt = 22

  /// What can be taken without swapping, as the kernel estimates it; installed memory if it does not say.
  static var availableBytes: Int {
    guard let file = fopen("/proc/meminfo", "r") else { return installedBytes }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, CInt(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix("MemAvailable:") else { continue }
      let digits = text.filter { $0.isASCII && $0.isNumber }
      return (Int(digits) ?? 0) << 10
    }
    return installedBytes
  }

  /// Populates a mapped range, so that copies take no page faults.
  ///
  /// - Throws: `invalidInput` if a part of it is not mapped, `outOfResources` if the memory behind it cannot be had.
  static func populate(_ memory: HostMemory) throws(RoostError) {
    let page = UInt(pageByteCount)
    let start = memory.address / page * page
    let byteCount = Int(memory.address - start) + memory.byteCount
    let pointer = UnsafeMutableRawPointer(bitPattern: start)
    guard madvise(pointer, byteCount, populateForWriting) != 0 else { return }
    // Read-only mappings refuse the first, kernels before 5.14 both; those populate on first touch.
    if errno == EFAULT, madvise(pointer, byteCount, populateForReading) == 0 { return }
    switch errno {
    case EINVAL: return
    case ENOMEM: throw RoostError(.invalidInput, "the host memory to register is not mapped", context: context(memory))
    default:
      throw RoostError(
        .outOfResources, "the host memory to register cannot be populated", context: context(memory),
        cause: .system("madvise", errno, "no memory behind the mapping"))
    }
  }

  private static func context(_ memory: HostMemory) -> [(name: String, value: String)] {
    [("address", "0x" + String(memory.address, radix: 16)), ("size", "\(ByteCount(memory.byteCount))")]
  }
}
