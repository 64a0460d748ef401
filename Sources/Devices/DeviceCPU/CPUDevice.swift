import CRoostPlatform
import Glibc
import RoostDevice
import RoostPrimitives
import Synchronization

/// The processor as a device: its memory is host memory in huge pages, its streams are threads, its copies are loops
/// of the processor's widest vectors with streaming stores. Real in every respect: what runs on it runs the same code
/// paths as on an accelerator.
///
/// Streams of both priorities are threads of the same rank, so `streamPriority` is not among the capabilities: each
/// direction has its own thread, and the system's scheduler shares the processors out. Null and wrapping addresses
/// fail the stream when it reaches the copy; other addresses are trusted, because an engine's own tensors are
/// device memory here. Thread-safe.
public final class CPUDevice: Device {
  /// What the processor can do as a device; constant.
  public let description: DeviceDescription

  let deviceMemory: CPUMemory
  private let hostMemory: CPUMemory
  private let registered = Locked<Set<HostMemory>>([])
  private let executors = Locked<[WeakExecutor]>([])
  private let copyVariant: CInt
  private let spinNanoseconds: UInt64
  let collectiveSeconds: Double

  private struct WeakExecutor {
    weak var executor: StreamExecutor?
  }

  /// Opens the processor as a device. Starts no thread and takes no memory.
  ///
  /// - Throws: `invalidInput` for a negative size or a copy loop that this processor lacks.
  public init(_ configuration: CPUDeviceConfiguration = CPUDeviceConfiguration()) throws(RoostError) {
    let variant = configuration.copyVariant.map { CInt(clamping: $0) } ?? roost_copy_best_variant()
    guard roost_copy_variant_available(variant) else {
      throw RoostError(.invalidInput, "this processor has no copy loop number \(variant)")
    }
    guard configuration.efficientRunBytes >= 0, configuration.memoryBytes ?? 0 >= 0 else {
      throw RoostError(.invalidInput, "a device cannot have a negative size")
    }
    copyVariant = variant
    collectiveSeconds = configuration.collectiveSeconds
    let isAlone = sysconf(CInt(_SC_NPROCESSORS_ONLN)) < 2
    spinNanoseconds = configuration.spinNanoseconds ?? (isAlone ? 0 : Limits.spinNanoseconds)
    let memoryBytes = configuration.memoryBytes ?? SystemMemory.installedBytes
    deviceMemory = CPUMemory(
      limitBytes: memoryBytes, usesHugePages: configuration.usesHugePages, populates: configuration.populates,
      what: "device memory")
    hostMemory = CPUMemory(
      limitBytes: SystemMemory.installedBytes, usesHugePages: configuration.usesHugePages,
      populates: configuration.populates, what: "host memory")
    description = DeviceDescription(
      uri: "cpu:\(configuration.index)",
      name: "host processor, \(String(cString: roost_copy_variant_name(variant))) copies", vendor: "host",
      memoryBytes: memoryBytes, dataTypes: DataType.allCases, copyEngineCount: 0,
      numaNode: nil,
      capabilities: [
        .hostAddressable, .asynchronousCopy, .batchedCopy, .stridedCopy, .hostRegistration, .eventTiming,
        .hostCallbacks, .interProcessMemory, .directStorage, .collectives,
      ],
      efficientRunBytes: configuration.efficientRunBytes)
  }

  /// What is left of the claimed memory, and no more than the system has available.
  public var freeMemoryBytes: Int {
    max(0, min(description.memoryBytes - deviceMemory.usedBytes, SystemMemory.availableBytes))
  }

  /// Maps populated memory in huge pages. See `Device`.
  public func allocate(byteCount: Int) throws(RoostError) -> DeviceMemory {
    DeviceMemory(address: try deviceMemory.allocate(byteCount: byteCount), byteCount: byteCount)
  }

  /// Unmaps it. See `Device`.
  public func free(_ memory: DeviceMemory) throws(RoostError) { try deviceMemory.free(memory.address) }

  /// The same as device memory, counted apart.
  public func allocateHost(byteCount: Int) throws(RoostError) -> HostMemory {
    HostMemory(address: try hostMemory.allocate(byteCount: byteCount), byteCount: byteCount)
  }

  /// Unmaps it. See `Device`.
  public func freeHost(_ memory: HostMemory) throws(RoostError) { try hostMemory.free(memory.address) }

  /// Populates the memory, so that copies take no page faults; nothing is locked, the CPU copies any memory.
  public func registerHost(_ memory: HostMemory) throws(RoostError) {
    let end = memory.address.addingReportingOverflow(UInt(bitPattern: memory.byteCount))
    guard memory.address != 0, memory.byteCount > 0, !end.overflow else {
      throw RoostError(.invalidInput, "an empty or impossible range of host memory cannot be registered")
    }
    try SystemMemory.populate(memory)
    guard registered.withLock({ $0.insert(memory).inserted }) else {
      throw RoostError(.busy, "this host memory is registered already")
    }
  }

  /// Forgets the registration; the memory stays populated.
  public func unregisterHost(_ memory: HostMemory) throws(RoostError) {
    guard registered.withLock({ $0.remove(memory) }) != nil else {
      throw RoostError(.stale, "this host memory is not registered")
    }
  }

  /// Makes a stream with a thread of its own, which starts with the first operation.
  public func makeStream(priority: StreamPriority) throws(RoostError) -> any DeviceStream {
    let executor = StreamExecutor(copyVariant: copyVariant, spinNanoseconds: spinNanoseconds)
    let fits = executors.withLock { list in
      list.removeAll { $0.executor == nil }
      guard list.count < Limits.streamCountMax else { return false }
      list.append(WeakExecutor(executor: executor))
      return true
    }
    guard fits else {
      throw RoostError(.outOfResources, "\(description.uri) has \(Limits.streamCountMax) streams already")
    }
    return CPUStream(priority: priority, executor: executor)
  }

  /// Makes an event that measures time.
  public func makeEvent() throws(RoostError) -> any DeviceEvent { CPUEvent() }

  /// Waits for the streams one after another.
  public func synchronize(until deadline: Deadline) throws(RoostError) {
    var failure: RoostError?
    for executor in executors.withLock({ $0.compactMap(\.executor) }) {
      do {
        try executor.wait(until: deadline)
      } catch {
        if error.code == .timedOut { throw error }
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }
}
