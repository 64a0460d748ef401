import CRoostVendors
import RoostDevice
import RoostPrimitives

/// Memory of the device, and page-locked memory of the host.
extension CUDADriver {
  /// CU_MEMHOSTALLOC_PORTABLE and DEVICEMAP, CU_MEMHOSTREGISTER_PORTABLE and DEVICEMAP: for every context, and kernels
  /// may read it.
  private static let hostFlags: UInt32 = 3

  /// See `DeviceDriver`.
  public func freeMemoryBytes() throws(RoostError) -> Int {
    var free = 0
    var total = 0
    try call("MemGetInfo_v2") { $0.pointee.memory_info(&free, &total) }
    return free
  }

  /// See `DeviceDriver`.
  public func allocate(byteCount: Int) throws(RoostError) -> UInt {
    if configuration.sharesByDescriptor { return try allocateVirtual(byteCount: byteCount) }
    var address: roost_cuda_address = 0
    try call("MemAlloc_v2") { $0.pointee.allocate(&address, byteCount) }
    return UInt(address)
  }

  /// Frees; the driver first waits for the whole device.
  public func free(_ address: UInt) throws(RoostError) {
    if try freeVirtual(address) { return }
    try call("MemFree_v2") { $0.pointee.free(roost_cuda_address(address)) }
  }

  /// See `DeviceDriver`.
  public func allocateHost(byteCount: Int) throws(RoostError) -> UInt {
    var address: UnsafeMutableRawPointer?
    try call("MemHostAlloc") { $0.pointee.allocate_host(&address, byteCount, Self.hostFlags) }
    let start = UInt(bitPattern: address)
    ranges.add(start..<start + UInt(byteCount))
    return start
  }

  /// See `DeviceDriver`.
  public func freeHost(_ address: UInt) throws(RoostError) {
    try call("MemFreeHost") { $0.pointee.free_host(pointer(address)) }
    ranges.remove(startingAt: address)
  }

  /// See `DeviceDriver`.
  public func register(_ memory: HostMemory) throws(RoostError) {
    try call("MemHostRegister_v2") {
      $0.pointee.register_host(pointer(memory.address), memory.byteCount, Self.hostFlags)
    }
    ranges.add(memory.address..<memory.address + UInt(memory.byteCount))
  }

  /// See `DeviceDriver`.
  public func unregister(_ memory: HostMemory) throws(RoostError) {
    try call("MemHostUnregister") { $0.pointee.unregister_host(pointer(memory.address)) }
    ranges.remove(startingAt: memory.address)
  }
}

extension HostRanges {
  /// Looks at a batch.
  func survey(_ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection) -> roost_cuda_survey {
    // The C structure has the same three words (CopyPiece's documentation promises them).
    let raw = UnsafeRawPointer(pieces.baseAddress)?.assumingMemoryBound(to: roost_cuda_piece.self)
    let side: CInt =
      switch direction {
      case .deviceToHost: CInt(ROOST_CUDA_HOST_IS_TARGET)
      case .hostToDevice: CInt(ROOST_CUDA_HOST_IS_SOURCE)
      case .deviceToDevice: 0
      }
    return withBounds { roost_cuda_survey_pieces(raw, pieces.count, $0.baseAddress, $0.count / 2, side) }
  }
}
