import DeviceCUDA
import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

/// The CUDA device over the simulated driver: every version of it, every way to copy, and every optional function
/// missing.
@Suite struct DeviceCUDAConformance {
  @Test(arguments: subjects) func keepsTheContract(subject: CUDASubject) throws {
    askAll(subject.subject)
    #expect(try subject.library.leaks() == [:])
  }

  @Test func isNotExcusedFromMoreThanItLacks() throws {
    let newest = tally(CUDASubject("cuda 13.0").subject)
    // What the suite asks of devices without a capability, of devices that the host can touch, and of what CUDA's own
    // driver interface does not have.
    let missing = ["host-addressable", "direct-storage", "collectives"].map { "does not offer \($0)" }
    #expect(newest.unsupported.values.allSatisfy { $0.hasPrefix("offers") || missing.contains($0) })
    #expect(newest.passed + newest.unsupported.count == DeviceSuite.checks.count)
  }

  @Test func aMissingFunctionSwitchesOffWhatNeedsItAndNothingElse() throws {
    let whole = try CUDASubject("whole").open().description.capabilities
    for (functions, capability) in CUDASubject.optional {
      let without = try CUDASubject("without", lacking: functions).open().description.capabilities
      #expect(without == whole.subtracting(capability), "without \(functions)")
    }
  }

  /// No NVIDIA driver has the batch call before 12.8, and 13.0 has a second form of it.
  static let subjects: [CUDASubject] =
    [
      CUDASubject("cuda 11.8", "version=11080;capability=80", lacking: CUDASubject.bothBatches),
      CUDASubject("cuda 12.4", "version=12040", lacking: CUDASubject.bothBatches),
      CUDASubject("cuda 12.8", "version=12080", lacking: ["cuMemcpyBatchAsync_v2"]),
      CUDASubject("cuda 13.0", "version=13000"),
      CUDASubject("cuda, kernels for every batch") { $0.path = .kernel },
      CUDASubject("cuda, kernels before Hopper", "capability=80") { $0.path = .kernel },
      CUDASubject("cuda, a call for every copy") { $0.path = .loop },
      CUDASubject("cuda, batches always") { $0.path = .batch },
      CUDASubject("cuda, shared by descriptor") { $0.sharesByDescriptor = true },
      CUDASubject("cuda, second device") { $0.index = 1 },
      CUDASubject("musa") { $0.vendor = .mooreThreads },
      CUDASubject("cuda, slow", "late=3000;delay=2000"),
    ]
    + CUDASubject.optional.map { functions, _ in
      CUDASubject("cuda without \(functions.joined(separator: ", "))", lacking: functions)
    }
}

/// A simulated driver and how a device is opened on it.
struct CUDASubject: Sendable, CustomTestStringConvertible {
  let subject: DeviceSubject
  private let lazy: LazyLibrary

  static let bothBatches = ["cuMemcpyBatchAsync", "cuMemcpyBatchAsync_v2"]

  /// Optional functions, and what a device does not offer without them.
  static let optional: [(functions: [String], capability: Capabilities)] = [
    (bothBatches, .batchedCopy), (["cuMemcpy2DAsync_v2"], .stridedCopy),
    (["cuMemHostRegister_v2"], .hostRegistration), (["cuEventElapsedTime"], .eventTiming),
    (["cuLaunchHostFunc"], .hostCallbacks), (["cuCtxGetStreamPriorityRange"], .streamPriority),
    (["cuIpcOpenMemHandle_v2"], .interProcessMemory), (["cuModuleLoadData"], []), (["cuFuncSetAttribute"], []),
  ]

  init(
    _ name: String, _ settings: String = "", lacking functions: [String] = [],
    _ adjust: @escaping @Sendable (inout CUDADeviceConfiguration) -> Void = { _ in }
  ) {
    let lazy = LazyLibrary(settings, functions)
    self.lazy = lazy
    subject = DeviceSubject(name, hold: lazy.hold { ($0 as? DrivenStream)?.handle }) {
      () throws(RoostError) in
      var configuration = CUDADeviceConfiguration()
      configuration.library = try lazy.library().path
      configuration.calibrates = false
      adjust(&configuration)
      return DrivenDevice(try CUDADriver(configuration))
    }
  }

  var testDescription: String { subject.name }
  var library: SimulatedLibrary { get throws { try lazy.library() } }

  func open() throws(RoostError) -> any Device { try subject.open() }
}

/// A library that is made when it is first needed.
final class LazyLibrary: Sendable {
  private let made = Locked<SimulatedLibrary?>(nil)
  private let settings: String
  private let functions: [String]

  init(_ settings: String, _ functions: [String]) {
    self.settings = settings
    self.functions = functions
  }

  func library() throws(RoostError) -> SimulatedLibrary {
    try made.withLock { made throws(RoostError) -> SimulatedLibrary in
      if let made { return made }
      do {
        let library = try SimulatedLibrary(settings, lacking: functions)
        made = library
        return library
      } catch {
        throw error as? RoostError ?? RoostError(.system, "\(error)")
      }
    }
  }

  /// Holds the vendor's stream that `handle` finds.
  func hold(_ handle: @escaping @Sendable (any DeviceStream) -> DriverHandle?) -> DeviceSubject.Hold {
    { [self] (_, stream) throws(RoostError) in
      guard let stream = handle(stream) else { throw RoostError(.unsupported, "not a stream of this driver's") }
      let library = try library()
      do {
        return try library.hold(stream)
      } catch {
        throw RoostError(.system, "\(error)")
      }
    }
  }
}
