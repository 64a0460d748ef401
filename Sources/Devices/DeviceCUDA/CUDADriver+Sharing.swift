import CRoostVendors
import Glibc
import RoostDevice
import RoostPrimitives

/// Memory for other processes and other devices.
extension CUDADriver {
  /// CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS, the only flag there is.
  private static let lazyPeerAccess: UInt32 = 1

  /// The driver's handle of the allocation, or a file descriptor of it if the device shares by descriptor.
  public func exportMemory(_ memory: DeviceMemory) throws(RoostError) -> SharedMemoryHandle {
    if let range = virtualMemory.withLock({ $0[memory.address] }) { return try exportVirtual(range) }
    var handle = roost_cuda_ipc_handle()
    try call("IpcGetMemHandle") { $0.pointee.ipc_export(&handle, roost_cuda_address(memory.address)) }
    return SharedMemoryHandle(of: handle, byteCount: memory.byteCount)
  }

  /// Opens what another process exported, by handle or by descriptor.
  public func importMemory(_ shared: SharedMemoryHandle) throws(RoostError) -> UInt {
    if shared.descriptor >= 0 { return try importVirtual(shared) }
    var handle = roost_cuda_ipc_handle()
    try shared.unwrap(into: &handle, vendor: description.vendor)
    var address: roost_cuda_address = 0
    try call("IpcOpenMemHandle_v2") { $0.pointee.ipc_import(&address, handle, Self.lazyPeerAccess) }
    return UInt(address)
  }

  /// Closes what `importMemory` opened.
  public func closeImported(_ address: UInt) throws(RoostError) {
    if try freeVirtual(address) { return }
    try call("IpcCloseMemHandle") { $0.pointee.ipc_close(roost_cuda_address(address)) }
  }

  /// Lets copies and kernels of this device reach the memory of another one in this process. False: the hardware does
  /// not connect them; copies between them go through the host then.
  public func enablePeerAccess(to other: CUDADriver) throws(RoostError) -> Bool {
    guard library.table.pointee.can_access_peer != nil, library.table.pointee.enable_peer != nil else { return false }
    var can: CInt = 0
    try call("DeviceCanAccessPeer") { $0.pointee.can_access_peer(&can, ordinal, other.ordinal) }
    guard can != 0 else { return false }
    let alreadyEnabled: CInt = 704
    try call("CtxEnablePeerAccess") {
      let result = $0.pointee.enable_peer(pointer(other.context), 0)
      return result == alreadyEnabled ? 0 : result
    }
    return true
  }
}

/// Memory made of physical pages and an address, because only that can be exported as a descriptor.
struct VirtualRange: Sendable {
  var address: UInt
  var byteCount: Int
  var physical: UInt64
}

extension CUDADriver {
  private enum Constant {
    /// CU_MEM_ALLOCATION_TYPE_PINNED, CU_MEM_LOCATION_TYPE_DEVICE, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR.
    static let pinned: CInt = 1
    static let device: CInt = 1
    static let descriptor: CInt = 1
    /// CU_MEM_ACCESS_FLAGS_PROT_READWRITE.
    static let readWrite: CInt = 3
  }

  func allocateVirtual(byteCount: Int) throws(RoostError) -> UInt {
    try requireVirtualMemory()
    var properties = roost_cuda_allocation()
    properties.type = Constant.pinned
    properties.handle_types = Constant.descriptor
    properties.location = roost_cuda_location(type: Constant.device, id: ordinal)
    var granularity = 0
    try call("MemGetAllocationGranularity") { $0.pointee.granularity(&granularity, &properties, 0) }
    let (padded, overflow) = byteCount.addingReportingOverflow(max(granularity, 1) - 1)
    guard !overflow else { throw RoostError(.outOfResources, "\(ByteCount(byteCount)) of device memory do not fit") }
    let size = padded / max(granularity, 1) * max(granularity, 1)
    var physical: UInt64 = 0
    try call("MemCreate") { $0.pointee.physical_create(&physical, size, &properties, 0) }
    return try map(physical, size)
  }

  /// Gives physical memory an address; gives the memory back if that fails.
  private func map(_ physical: UInt64, _ size: Int) throws(RoostError) -> UInt {
    var address: roost_cuda_address = 0
    do throws(RoostError) {
      try call("MemAddressReserve") { $0.pointee.reserve(&address, size, 0, 0, 0) }
      try call("MemMap") { $0.pointee.map(address, size, 0, physical, 0) }
      var access = roost_cuda_access()
      access.location = roost_cuda_location(type: Constant.device, id: ordinal)
      access.flags = Constant.readWrite
      try call("MemSetAccess") { $0.pointee.set_access(address, size, &access, 1) }
    } catch {
      if address != 0 {
        try? call("MemUnmap") { $0.pointee.unmap(address, size) }
        try? call("MemAddressFree") { $0.pointee.unreserve(address, size) }
      }
      try? call("MemRelease") { $0.pointee.physical_release(physical) }
      throw error
    }
    let range = VirtualRange(address: UInt(address), byteCount: size, physical: physical)
    virtualMemory.withLock { $0[range.address] = range }
    return range.address
  }

  /// False: the address is not of this kind.
  func freeVirtual(_ address: UInt) throws(RoostError) -> Bool {
    guard let range = virtualMemory.withLock({ $0.removeValue(forKey: address) }) else { return false }
    let start = roost_cuda_address(range.address)
    try call("MemUnmap") { $0.pointee.unmap(start, range.byteCount) }
    try call("MemAddressFree") { $0.pointee.unreserve(start, range.byteCount) }
    try call("MemRelease") { $0.pointee.physical_release(range.physical) }
    return true
  }

  private func exportVirtual(_ range: VirtualRange) throws(RoostError) -> SharedMemoryHandle {
    var descriptor: CInt = -1
    try call("MemExportToShareableHandle") {
      $0.pointee.export_physical(&descriptor, range.physical, Constant.descriptor, 0)
    }
    let bytes = withUnsafeBytes(of: UInt64(range.byteCount).littleEndian) { Array($0) }
    return SharedMemoryHandle(bytes: bytes, descriptor: descriptor, byteCount: range.byteCount)
  }

  private func importVirtual(_ shared: SharedMemoryHandle) throws(RoostError) -> UInt {
    try requireVirtualMemory()
    guard shared.bytes.count == 8 else { throw RoostError(.invalidInput, "this is no descriptor of device memory") }
    let size = Int(clamping: shared.bytes.reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) })
    var physical: UInt64 = 0
    try call("MemImportFromShareableHandle") {
      // The descriptor travels as a pointer.
      $0.pointee.import_physical(
        &physical, UnsafeMutableRawPointer(bitPattern: UInt(shared.descriptor)), Constant.descriptor)
    }
    return try map(physical, size)
  }

  private func requireVirtualMemory() throws(RoostError) {
    let table = library.table.pointee
    let isThere =
      table.granularity != nil && table.physical_create != nil && table.physical_release != nil && table.reserve != nil
      && table.unreserve != nil && table.map != nil && table.unmap != nil && table.set_access != nil
      && table.export_physical != nil && table.import_physical != nil
    if !isThere { throw RoostError(.unsupported, "the driver of \(description.uri) shares no memory by descriptor") }
  }
}
