import Glibc
import RoostDevice
import RoostPrimitives

/// The memory of a transfer benchmark: device memory, and shared memory as a pool has it (anonymous shared mappings and
/// memfd files are the same kind of memory to the kernel). Populated.
final class TransferArena {
  let device: any Device
  let cache: DeviceMemory
  private(set) var slots: HostMemory

  init(device: any Device, byteCount: Int) throws(RoostError) {
    self.device = device
    cache = try device.allocate(byteCount: byteCount)
    slots = try TransferArena.map(byteCount)
    _ = HostMemory(address: cache.address, byteCount: byteCount).bytes.initializeMemory(as: UInt8.self, repeating: 1)
    try device.registerHost(slots)
    try device.unregisterHost(slots)
  }

  deinit {
    munmap(slots.bytes.baseAddress, slots.byteCount)
    // The memory came from this device; the only error would be that it did not.
    try? device.free(cache)
  }

  /// Puts memory that nobody has touched in the place of the slots.
  func replaceSlots() throws(RoostError) {
    munmap(slots.bytes.baseAddress, slots.byteCount)
    slots = try TransferArena.map(slots.byteCount)
  }

  /// Drops this process' mapping of the slots but not their content, as in a process that has just attached.
  func forgetMapping() { madvise(slots.bytes.baseAddress, slots.byteCount, MADV_DONTNEED) }

  private static func map(_ byteCount: Int) throws(RoostError) -> HostMemory {
    let mapped = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != MAP_FAILED else {
      throw RoostError.system("mmap", errno, "cannot map \(ByteCount(byteCount)) of shared memory")
    }
    return HostMemory(address: UInt(bitPattern: mapped), byteCount: byteCount)
  }
}
