import Glibc
import RoostPrimitives

/// What a driven device has handed out: so that freeing twice is an error and nothing outlives the device. Thread-safe.
final class DriverMemories: Sendable {
  private struct Allocation {
    /// What the driver gave; the caller's address is this one rounded up.
    var base: UInt
    var isImported: Bool
  }
  private struct State {
    var device: [UInt: Allocation] = [:]
    var host: Set<UInt> = []
    var ranges: [HostMemory] = []
  }

  private let state = Locked(State())
  private let deviceName: String

  init(deviceName: String) { self.deviceName = deviceName }

  /// Host memory that exists: no request can be larger.
  static let hostMemoryBytes = sysconf(CInt(_SC_PHYS_PAGES)) * sysconf(CInt(_SC_PAGESIZE))

  /// Refuses sizes that make no sense, or that no driver needs to be asked about.
  func check(_ byteCount: Int, limit: Int, _ what: String) throws(RoostError) {
    guard byteCount > 0 else {
      throw RoostError(.invalidInput, "cannot allocate \(byteCount) bytes of \(what)")
    }
    guard byteCount <= limit else {
      throw RoostError(
        .outOfResources, "\(ByteCount(byteCount)) of \(what) do not fit",
        context: [("device", deviceName), ("limit", "\(ByteCount(limit))")])
    }
  }

  func add(_ address: UInt, base: UInt, isImported: Bool = false) {
    state.withLock { $0.device[address] = Allocation(base: base, isImported: isImported) }
  }

  func addHost(_ address: UInt) { state.withLock { _ = $0.host.insert(address) } }

  /// Takes device memory off the list: what the driver calls it.
  func remove(_ address: UInt) throws(RoostError) -> (base: UInt, isImported: Bool) {
    guard let allocation = state.withLock({ $0.device.removeValue(forKey: address) }) else {
      throw stale(address, "this device memory was freed before or never allocated here")
    }
    return (allocation.base, allocation.isImported)
  }

  func removeHost(_ address: UInt) throws(RoostError) {
    guard state.withLock({ $0.host.remove(address) }) != nil else {
      throw stale(address, "this host memory was freed before or never allocated here")
    }
  }

  /// What the driver calls device memory that was allocated here.
  func base(of address: UInt) throws(RoostError) -> UInt {
    guard let allocation = state.withLock({ $0.device[address] }), !allocation.isImported else {
      throw stale(address, "this device memory was not allocated here")
    }
    return allocation.base
  }

  /// Puts a range on the list before the driver is asked to lock it.
  func register(_ memory: HostMemory) throws(RoostError) {
    let end = memory.address.addingReportingOverflow(UInt(bitPattern: memory.byteCount))
    guard memory.address != 0, memory.byteCount > 0, !end.overflow else {
      throw RoostError(.invalidInput, "an empty or impossible range of host memory cannot be registered")
    }
    let isNew = state.withLock { state in
      let overlaps = state.ranges.contains {
        memory.address < $0.address + UInt($0.byteCount) && $0.address < end.partialValue
      }
      if !overlaps { state.ranges.append(memory) }
      return !overlaps
    }
    guard isNew else { throw RoostError(.busy, "this host memory, or a part of it, is registered already") }
  }

  /// Takes a range off the list.
  func unregister(_ memory: HostMemory) throws(RoostError) {
    let isFound = state.withLock { state in
      guard let index = state.ranges.firstIndex(of: memory) else { return false }
      state.ranges.remove(at: index)
      return true
    }
    guard isFound else { throw stale(memory.address, "this host memory is not registered") }
  }

  var ranges: [HostMemory] { state.withLock { $0.ranges } }
  var hostAllocations: [UInt] { state.withLock { Array($0.host) } }
  var deviceAllocations: [(base: UInt, isImported: Bool)] {
    state.withLock { $0.device.values.map { ($0.base, $0.isImported) } }
  }

  private func stale(_ address: UInt, _ message: String) -> RoostError {
    RoostError(.stale, message, context: [("device", deviceName), ("address", "0x" + String(address, radix: 16))])
  }
}
