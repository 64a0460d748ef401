import CRoostPlatform
import Glibc
import RoostDevice
import RoostPrimitives

/// Memory for other processes, files without the system's cache, and members that work together.
extension CPUDevice {
  /// What begins a handle of this device's.
  private static let magic: UInt64 = 0x726f_6f73_7463_7075

  /// Turns the memory into a memory file, once, at the same address, and gives a descriptor of it. Nobody may write to the
  /// memory meanwhile. The receiver needs the descriptor; whoever holds the handle closes it.
  public func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle {
    let descriptor = try deviceMemory.share(memory.address, byteCount: memory.byteCount)
    let bytes = withUnsafeBytes(of: Self.magic.littleEndian) { Array($0) }
    return SharedMemoryHandle(bytes: bytes, descriptor: descriptor, byteCount: memory.byteCount)
  }

  /// Maps another process's memory; it stays after that process has ended. The descriptor remains the caller's.
  public func importMemory(_ handle: SharedMemoryHandle) throws(RoostError) -> DeviceMemory {
    let magic = handle.bytes.reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    guard handle.bytes.count == 8, magic == Self.magic, handle.byteCount > 0, handle.descriptor >= 0,
      roost_memory_has_sealed_size(handle.descriptor) == 1
    else { throw RoostError(.invalidInput, "this is no handle of the processor's memory") }
    let address = try deviceMemory.adopt(handle.descriptor, byteCount: handle.byteCount)
    return DeviceMemory(address: address, byteCount: handle.byteCount)
  }

  /// Reads by O_DIRECT where offset, address and size allow it. Waits for the disk.
  public func readFile(
    descriptor: CInt, fileOffset: Int, into address: UInt, byteCount: Int
  ) throws(RoostError) -> Int {
    let memory = try fileMemory(address, fileOffset, byteCount)
    return try DirectFile(descriptor, for: .reading).transfer(memory, offset: fileOffset, byteCount: byteCount)
  }

  /// Writes by O_DIRECT where offset, address and size allow it. Waits for the disk, not for its cache.
  public func writeFile(
    descriptor: CInt, fileOffset: Int, from address: UInt, byteCount: Int
  ) throws(RoostError) {
    let memory = try fileMemory(address, fileOffset, byteCount)
    _ = try DirectFile(descriptor, for: .writing).transfer(memory, offset: fileOffset, byteCount: byteCount)
  }

  private func fileMemory(
    _ address: UInt, _ offset: Int, _ byteCount: Int
  ) throws(RoostError) -> UnsafeMutableRawPointer {
    let end = offset.addingReportingOverflow(byteCount)
    guard offset >= 0, byteCount >= 0, !end.overflow, let memory = UnsafeMutableRawPointer(bitPattern: address) else {
      throw RoostError(
        .invalidInput, "a file cannot be read or written there",
        context: [("offset", "\(offset)"), ("bytes", "\(byteCount)"), ("address", "0x" + String(address, radix: 16))])
    }
    return memory
  }

  /// Joins members in one or several processes of this host. See `ProcessGroup`.
  public func makeCollective(rank: Int, rankCount: Int, rendezvous: String) throws(RoostError) -> any Collective {
    CPUCollective(
      try ProcessGroup(rank: rank, rankCount: rankCount, rendezvous: rendezvous, seconds: collectiveSeconds))
  }
}
