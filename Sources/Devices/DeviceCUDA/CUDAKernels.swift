import CRoostVendors
import RoostDevice
import RoostPrimitives

/// The copy kernels of one device, and the page-locked lists that they read their pieces from. Not thread-safe: behind
/// the driver's lock.
///
/// Pieces of one size go to the paged kernels, as `count` layers of one block each; on Hopper and later to the one that
/// stages through shared memory. Others go to the list kernel.
final class CUDAKernels: @unchecked Sendable {
  private var module: UInt = 0
  private var bulkModule: UInt = 0
  private var paged: UInt = 0
  private var list: UInt = 0
  private var bulk: UInt = 0
  /// Each list has room for `batchCountMax` pieces, and an event that says that its kernel has read it.
  private var lists: UInt = 0
  private var events: [DriverHandle] = []
  private var next = 0

  private static let listBytes = Limits.batchCountMax * MemoryLayout<CopyPiece>.stride

  /// Loads the kernels; nil if this driver lacks the calls for it, or cannot compile them.
  init?(_ driver: CUDADriver) throws(RoostError) {
    let table = driver.library.table
    guard table.pointee.module_load != nil, table.pointee.module_unload != nil,
      table.pointee.module_function != nil, table.pointee.launch_kernel != nil
    else { return nil }
    let hasBulk = try driver.computeCapability() >= 90 && table.pointee.function_attribute != nil
    do throws(RoostError) {
      (module, paged) = try Self.load(KernelText.paged, "kvc_copy_paged16", driver)
    } catch {
      Log.write(.warning, "\(driver.description.uri) copies without kernels, more slowly for small pieces: \(error)")
      return nil
    }
    do throws(RoostError) {
      list = try Self.function("kvc_copy_list16", of: module, driver)
      (bulkModule, bulk) = hasBulk ? Self.loadBulk(driver) : (0, 0)
      lists = try driver.allocateHost(byteCount: Self.listBytes * Limits.kernelListCount)
      for _ in 0..<Limits.kernelListCount { events.append(try driver.makeEvent()) }
    } catch {
      // What was not made is 0, and nobody has to give it back.
      try? close(driver)
      throw error
    }
  }

  /// Gives everything back, all of it even if a part fails.
  ///
  /// - Throws: the first error.
  func close(_ driver: CUDADriver) throws(RoostError) {
    var failure: RoostError?
    func attempt(_ body: () throws(RoostError) -> Void) {
      do throws(RoostError) {
        try body()
      } catch {
        failure = failure ?? error
      }
    }
    for event in events { attempt { () throws(RoostError) in try driver.destroyEvent(event) } }
    if lists != 0 { attempt { () throws(RoostError) in try driver.freeHost(lists) } }
    for module in [bulkModule, module] where module != 0 {
      attempt { () throws(RoostError) in
        try driver.call("ModuleUnload") { $0.pointee.module_unload(pointer(module)) }
      }
    }
    if let failure { throw failure }
  }

  /// Copies pieces whose addresses and sizes are multiples of 16 and whose memory the device reaches. False: every list
  /// is still being read.
  func launch(
    _ pieces: UnsafeBufferPointer<CopyPiece>, _ survey: roost_cuda_survey, on stream: DriverHandle,
    _ driver: CUDADriver
  ) throws(RoostError) -> Bool {
    guard try driver.isComplete(events[next]) else { return false }
    let address = lists + UInt(next * Self.listBytes)
    if survey.smallest != survey.largest {
      try launchList(pieces, at: address, largest: survey.largest, on: stream, driver)
    } else {
      try launchPaged(pieces, at: address, bytes: survey.largest, on: stream, driver)
    }
    try driver.record(events[next], on: stream)
    next = (next + 1) % Limits.kernelListCount
    return true
  }

  private func launchList(
    _ pieces: UnsafeBufferPointer<CopyPiece>, at address: UInt, largest: Int, on stream: DriverHandle,
    _ driver: CUDADriver
  ) throws(RoostError) {
    guard let target = UnsafeMutableRawPointer(bitPattern: address), let source = pieces.baseAddress else { return }
    target.copyMemory(from: source, byteCount: pieces.count * MemoryLayout<CopyPiece>.stride)
    var (listAddress, count) = (UInt64(address), UInt32(pieces.count))
    let threads = Self.threads(for: largest)
    try withUnsafeMutablePointer(to: &listAddress) { first throws(RoostError) in
      try withUnsafeMutablePointer(to: &count) { second throws(RoostError) in
        var parameters: [UnsafeMutableRawPointer?] = [UnsafeMutableRawPointer(first), UnsafeMutableRawPointer(second)]
        let blocks = Self.blocks(of: threads)
        try driver.call("LaunchKernel") {
          $0.pointee.launch_kernel(pointer(list), blocks, 1, 1, threads, 1, 1, 0, pointer(stream), &parameters, nil)
        }
      }
    }
  }

  private func launchPaged(
    _ pieces: UnsafeBufferPointer<CopyPiece>, at address: UInt, bytes: Int, on stream: DriverHandle,
    _ driver: CUDADriver
  ) throws(RoostError) {
    guard let sources = UnsafeMutablePointer<UInt64>(bitPattern: address) else { return }
    let targets = sources + Limits.batchCountMax
    var index = 0
    while index < pieces.count {
      sources[index] = UInt64(pieces[index].source)
      targets[index] = UInt64(pieces[index].target)
      index += 1
    }
    let isBulk = bulk != 0
    let targetsAddress = UInt64(address) + UInt64(Limits.batchCountMax * 8)
    // Both kernels: bases of sources and targets, no index lists, no strides, layers, blocks, size; bulk: its ring.
    var words: [UInt64] = [UInt64(address), targetsAddress, 0, 0, 0, 0, UInt64(pieces.count), 1]
    words += isBulk ? Self.bulkSizes(bytes) : [UInt64(bytes / 16)]
    let threads = isBulk ? 32 : Self.threads(for: bytes)
    let blocks = isBulk ? Limits.bulkBlockCount : Self.blocks(of: threads)
    let shared = isBulk ? UInt32(Self.bulkSharedBytes) : 0
    let function = isBulk ? bulk : paged
    // Little-endian: a 32-bit parameter is read from the word's first half.
    try words.withUnsafeMutableBufferPointer { words throws(RoostError) in
      let start = words.baseAddress
      var parameters = (0..<words.count).map { index in start.map { UnsafeMutableRawPointer($0 + index) } }
      try driver.call("LaunchKernel") {
        $0.pointee.launch_kernel(
          pointer(function), blocks, 1, 1, threads, 1, 1, shared, pointer(stream), &parameters, nil)
      }
    }
  }

  private static func bulkSizes(_ bytes: Int) -> [UInt64] {
    [UInt64(bytes), UInt64(Limits.bulkStageBytes), UInt64(Limits.bulkStageCount)]
  }

  private static let bulkSharedBytes = Limits.bulkStageBytes * Limits.bulkStageCount + 128

  /// Threads of a block: each moves four vectors of 16 bytes a turn.
  private static func threads(for bytes: Int) -> UInt32 {
    UInt32(min(max((bytes + 63) / 64, 32), Limits.blockThreadCountMax))
  }

  private static func blocks(of threads: UInt32) -> UInt32 {
    max(1, UInt32(Limits.kernelThreadCount) / threads)
  }

  // MARK: - Loading

  /// Compiles a text and finds an entry in it.
  private static func load(
    _ text: String, _ entry: String, _ driver: CUDADriver
  ) throws(RoostError) -> (module: UInt, function: UInt) {
    var module: UnsafeMutableRawPointer?
    let bytes = Array(text.utf8CString)
    try driver.call("ModuleLoadData") { $0.pointee.module_load(&module, bytes) }
    do throws(RoostError) {
      return (UInt(bitPattern: module), try function(entry, of: UInt(bitPattern: module), driver))
    } catch {
      try? driver.call("ModuleUnload") { $0.pointee.module_unload(module) }
      throw error
    }
  }

  private static func function(
    _ name: String, of module: UInt, _ driver: CUDADriver
  ) throws(RoostError) -> UInt {
    var function: UnsafeMutableRawPointer?
    try driver.call("ModuleGetFunction") { $0.pointee.module_function(&function, pointer(module), name) }
    return UInt(bitPattern: function)
  }

  /// The kernel for Hopper and later; zeros where the driver is older: the paged one does the same, more slowly.
  private static func loadBulk(_ driver: CUDADriver) -> (module: UInt, function: UInt) {
    guard let (module, function) = try? load(KernelText.bulk, "kvc_copy_paged_bulk", driver) else { return (0, 0) }
    do throws(RoostError) {
      // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
      try driver.call("FuncSetAttribute") {
        $0.pointee.function_attribute(pointer(function), 8, CInt(bulkSharedBytes))
      }
      return (module, function)
    } catch {
      try? driver.call("ModuleUnload") { $0.pointee.module_unload(pointer(module)) }
      return (0, 0)
    }
  }
}
