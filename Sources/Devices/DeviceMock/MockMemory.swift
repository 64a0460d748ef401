import CRoostPlatform
import Glibc
import RoostDevice
import RoostPrimitives

/// The mock's device memory and host memory. Device memory is a memory file that is mapped twice: at its address, where
/// nobody may touch it unless the device is host-addressable, and once more for the mock itself. What is freed stays
/// reserved and untouchable, so that a copy that comes too late is found out. Not thread-safe.
final class MockMemory {
  private struct Block {
    var address: UInt
    /// Where the mock reads and writes it.
    var view: UnsafeMutableRawPointer
    /// As asked for; the rest of the last page belongs to nobody.
    var byteCount: Int
    var mappedByteCount: Int
    var isLive = true
  }

  private let limitBytes: Int
  private let isHostAddressable: Bool
  private let requiresRegisteredHost: Bool
  /// By address.
  private var device: [Block] = []
  private var host: [Block] = []
  private var registered: Set<HostMemory> = []
  private(set) var usedBytes = 0
  private var usedHostBytes = 0

  init(_ configuration: MockDeviceConfiguration) {
    limitBytes = configuration.memoryBytes
    isHostAddressable = configuration.capabilities.contains(.hostAddressable)
    requiresRegisteredHost = configuration.requiresRegisteredHost
  }

  deinit {
    for block in device {
      munmap(UnsafeMutableRawPointer(bitPattern: block.address), block.mappedByteCount)
      if block.isLive { munmap(block.view, block.mappedByteCount) }
    }
    for block in host { munmap(block.view, block.mappedByteCount) }
  }

  // MARK: - Allocating

  /// Maps device memory full of junk.
  func allocate(byteCount: Int, junk: UInt64) throws(RoostError) -> DeviceMemory {
    let mapped = try MockMemory.round(byteCount, room: limitBytes - usedBytes)
    let file = roost_memory_file("roost-mock", 0)
    guard file >= 0 else { throw .system("memfd_create", -file, "there is no memory for a mock device") }
    defer { close(file) }
    guard ftruncate(file, mapped) == 0 else {
      throw .system("ftruncate", errno, "there is no memory for a mock device")
    }
    let view = try MockMemory.map(mapped, PROT_READ | PROT_WRITE, MAP_SHARED, file)
    do throws(RoostError) {
      let protection = isHostAddressable ? PROT_READ | PROT_WRITE : PROT_NONE
      let address = UInt(bitPattern: try MockMemory.map(mapped, protection, MAP_SHARED, file))
      let block = Block(address: address, view: view, byteCount: byteCount, mappedByteCount: mapped)
      device.insert(block, at: device.firstIndex { $0.address > address } ?? device.endIndex)
    } catch {
      munmap(view, mapped)
      throw error
    }
    usedBytes += mapped
    MockMemory.fill(view, byteCount, junk)
    return DeviceMemory(address: device.first { $0.view == view }?.address ?? 0, byteCount: byteCount)
  }

  func free(_ memory: DeviceMemory) throws(RoostError) {
    guard let index = device.firstIndex(where: { $0.isLive && $0.address == memory.address }) else {
      throw RoostError(.stale, "this device memory was freed before or never allocated here")
    }
    let block = device[index]
    device[index].isLive = false
    usedBytes -= block.mappedByteCount
    munmap(block.view, block.mappedByteCount)
    MockMemory.reserve(block.address, block.mappedByteCount)
  }

  /// Maps host memory full of junk.
  func allocateHost(byteCount: Int, junk: UInt64) throws(RoostError) -> HostMemory {
    let mapped = try MockMemory.round(byteCount, room: Limits.hostMemoryBytes - usedHostBytes)
    let view = try MockMemory.map(mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1)
    MockMemory.fill(view, byteCount, junk)
    host.append(
      Block(address: UInt(bitPattern: view), view: view, byteCount: byteCount, mappedByteCount: mapped))
    usedHostBytes += mapped
    return HostMemory(address: UInt(bitPattern: view), byteCount: byteCount)
  }

  func freeHost(_ memory: HostMemory) throws(RoostError) {
    guard let index = host.firstIndex(where: { $0.isLive && $0.address == memory.address }) else {
      throw RoostError(.stale, "this host memory was freed before or never allocated here")
    }
    host[index].isLive = false
    usedHostBytes -= host[index].mappedByteCount
    MockMemory.reserve(host[index].address, host[index].mappedByteCount)
  }

  func register(_ memory: HostMemory) throws(RoostError) {
    let end = memory.address.addingReportingOverflow(UInt(bitPattern: memory.byteCount))
    guard memory.address != 0, memory.byteCount > 0, !end.overflow else {
      throw RoostError(.invalidInput, "an empty or impossible range of host memory cannot be registered")
    }
    guard registered.insert(memory).inserted else {
      throw RoostError(.busy, "this host memory is registered already")
    }
  }

  func unregister(_ memory: HostMemory) throws(RoostError) {
    guard registered.remove(memory) != nil else { throw RoostError(.stale, "this host memory is not registered") }
  }

  // MARK: - Copying

  /// Copies pieces now; the first that leads anywhere but to the memory it should stops it.
  func copy(_ pieces: ArraySlice<CopyPiece>, _ direction: CopyDirection) -> RoostError? {
    for piece in pieces {
      guard let (source, target) = places(of: piece, direction) else { return MockMemory.error(of: piece) }
      memmove(target, source, Int(piece.byteCount))
    }
    return nil
  }

  /// Makes a mess of what a piece writes: the junk that a copy which broke off has left, or a single wrong byte.
  func spoil(_ piece: CopyPiece, _ direction: CopyDirection, byteCount: Int) {
    guard let (_, target) = places(of: piece, direction) else { return }
    for offset in 0..<min(byteCount, Int(piece.byteCount)) {
      target.storeBytes(of: ~target.load(fromByteOffset: offset, as: UInt8.self), toByteOffset: offset, as: UInt8.self)
    }
  }

  /// Where the mock itself sees a range of device memory; nil if it is not allocated.
  func view(_ address: UInt, _ byteCount: UInt) -> UnsafeMutableRawPointer? {
    let above = device.partitioningIndex { $0.address > address }
    guard above > 0, device[above - 1].isLive else { return nil }
    let offset = address - device[above - 1].address
    guard offset + byteCount <= UInt(device[above - 1].byteCount) else { return nil }
    return device[above - 1].view + Int(offset)
  }

  private func places(
    of piece: CopyPiece, _ direction: CopyDirection
  ) -> (source: UnsafeMutableRawPointer, target: UnsafeMutableRawPointer)? {
    let source = direction == .hostToDevice ? hostPlace(piece.source, piece.byteCount) : nil
    let target = direction == .deviceToHost ? hostPlace(piece.target, piece.byteCount) : nil
    guard let from = direction == .hostToDevice ? source : view(piece.source, piece.byteCount),
      let to = direction == .deviceToHost ? target : view(piece.target, piece.byteCount)
    else { return nil }
    return (from, to)
  }

  /// The host's side of a copy; nil for what cannot be host memory, was freed, or had to be registered.
  private func hostPlace(_ address: UInt, _ byteCount: UInt) -> UnsafeMutableRawPointer? {
    let end = address.addingReportingOverflow(byteCount)
    guard address >= UInt(Limits.pageByteCount), !end.overflow else { return nil }
    func overlaps(_ block: Block) -> Bool {
      block.address < end.partialValue && address < block.address + UInt(block.mappedByteCount)
    }
    guard !device.contains(where: overlaps) else { return nil }
    if let block = host.first(where: overlaps) {
      let isInside = address >= block.address && end.partialValue <= block.address + UInt(block.byteCount)
      return block.isLive && isInside ? UnsafeMutableRawPointer(bitPattern: address) : nil
    }
    guard !requiresRegisteredHost || isRegistered(address, end.partialValue) else { return nil }
    return UnsafeMutableRawPointer(bitPattern: address)
  }

  private func isRegistered(_ start: UInt, _ end: UInt) -> Bool {
    registered.contains { $0.address <= start && end <= $0.address + UInt($0.byteCount) }
  }

  // MARK: - Mapping

  private static func round(_ byteCount: Int, room: Int) throws(RoostError) -> Int {
    guard byteCount > 0 else { throw RoostError(.invalidInput, "cannot allocate \(byteCount) bytes") }
    guard byteCount <= room else {
      throw RoostError(.outOfResources, "\(ByteCount(byteCount)) do not fit", context: [("left", "\(ByteCount(room))")])
    }
    let page = Limits.pageByteCount
    return (byteCount + page - 1) / page * page
  }

  private static func map(
    _ byteCount: Int, _ protection: CInt, _ flags: CInt, _ file: CInt
  ) throws(RoostError) -> UnsafeMutableRawPointer {
    guard let place = mmap(nil, byteCount, protection, flags, file, 0), place != MAP_FAILED else {
      throw .system("mmap", errno, "there is no memory for a mock device")
    }
    return place
  }

  /// Gives the memory back and keeps the address, so that nothing else comes to lie there.
  private static func reserve(_ address: UInt, _ byteCount: Int) {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
    _ = mmap(UnsafeMutableRawPointer(bitPattern: address), byteCount, PROT_NONE, flags, -1, 0)
  }

  private static func fill(_ place: UnsafeMutableRawPointer, _ byteCount: Int, _ junk: UInt64) {
    roost_pattern_fill(place, min(byteCount, Limits.junkByteCountMax), junk, 0)
  }

  private static func error(of piece: CopyPiece) -> RoostError {
    RoostError(
      .invalidInput, "a copy points at memory that is not there, or not on the side that it should be on",
      context: [
        ("source", "0x" + String(piece.source, radix: 16)), ("target", "0x" + String(piece.target, radix: 16)),
        ("bytes", "\(piece.byteCount)"),
      ])
  }
}
