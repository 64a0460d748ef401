import CRoostVendors
import DeviceCUDA
import Foundation
import RoostDevice
import RoostPrimitives
import Testing

/// Every function of the driver fails, at its first and at its last call: an error that names it, nothing lost, nothing
/// that hangs, and the other device goes on.
@Suite struct CUDAFaultTests {
  @Test(arguments: functions) func aFunctionThatFailsIsNamed(function: Function) throws {
    let symbol = "cu" + function.name
    let counting = try SimulatedLibrary("fail=\(symbol):1000000:304")
    #expect(exercise(counting) == [])
    let last = try counting.callCount(of: symbol)
    #expect(last > 0 || !function.isRequired || symbol == "cuGetErrorName", "the exercise never calls \(symbol)")
    for nth in Set([1, last]) where last > 0 {
      // A library of its own: a thread keeps the context that could not be taken from it.
      let library = try SimulatedLibrary("fail=\(symbol):\(nth):304")
      let errors = exercise(library)
      // Where one asks until something is done, the count differs from run to run.
      guard try library.callCount(of: symbol) >= nth else { continue }
      // What lets go of a thing has nobody to tell: a line in the log names it. What only makes copies faster likewise.
      let isQuiet = Self.quiet.contains(function.name) || nth == last && Self.last.contains(function.name)
      #expect(isQuiet || errors.contains { $0.contains(symbol) }, "\(symbol), call \(nth): \(errors)")
      try library.control("reset=1")
      #expect(exercise(library, index: 1) == [], "after call \(nth) of \(symbol)")
      if !Self.releasing.contains(function.name), nth == 1 || !Self.last.contains(function.name) {
        #expect(try library.leaks() == [:], "\(symbol), call \(nth)")
      }
    }
  }

  @Test(arguments: functions.filter(\.isRequired)) func aRequiredFunctionThatIsMissingIsNamed(function: Function) throws
  {
    let symbol = "cu" + function.name
    let library = try SimulatedLibrary(lacking: [symbol])
    let error = #expect(throws: RoostError.self) { try open(library) }
    #expect(error?.code == .unsupported && error?.message.contains(symbol) == true, "\(symbol): \(error as Any)")
  }

  @Test(arguments: [719, 700, 999]) func aLostDeviceSaysSoAndNobodyWaitsForIt(result: Int) throws {
    let library = try SimulatedLibrary()
    for operations in 0..<12 {
      try library.control("reset=1")
      let device = try open(library)
      let stream = try device.makeStream(priority: .normal)
      let event = try device.makeEvent()
      let memory = try device.allocate(byteCount: 4096)
      let host = try device.allocateHost(byteCount: 4096)
      try library.control("lost=\(operations):\(result)")
      let called = LockedCount()
      let piece = CopyPiece(source: host.address, target: memory.address, byteCount: 4096)
      for _ in 0..<20 {
        try stream.copy(piece, .hostToDevice)
        try? stream.enqueue { called.add() }
        try? stream.record(event)
      }
      let error = #expect(throws: RoostError.self) { try stream.wait(until: .after(seconds: 20)) }
      #expect(error?.code == .lost, "\(operations): \(error as Any)")
      #expect(event.isComplete)
      #expect(called.value == 20, "\(operations): \(called.value) of 20 host functions were called")
      #expect(throws: RoostError.self) { try device.allocate(byteCount: 4096) }
      let other = try open(library, index: 1)
      #expect(try other.allocate(byteCount: 4096).byteCount == 4096)
    }
  }

  @Test(arguments: [(100, "CUDA_VISIBLE_DEVICES"), (802, "fabric manager"), (803, "reboot"), (999, "cuInit")])
  func aDriverWithoutADeviceSaysWhy(result: Int, hint: String) throws {
    let library = try SimulatedLibrary("init=\(result)")
    let error = #expect(throws: RoostError.self) { try open(library) }
    #expect(error?.description.contains(hint) == true)
    #expect(try library.leaks() == [:])
  }

  @Test func aLibraryThatOnlyTookTheNameIsRefused() throws {
    let library = try SimulatedLibrary(name: "libxpucuda.so.515.58.kunlun")
    let error = #expect(throws: RoostError.self) { try open(library) }
    #expect(error?.message.contains("not NVIDIA's driver") == true)
  }

  @Test func aDeviceBeyondTheLastIsRefused() throws {
    let library = try SimulatedLibrary()
    let error = #expect(throws: RoostError.self) { try open(library, index: 2) }
    #expect(error?.description.contains("the driver shows 2") == true)
    #expect(try library.leaks() == [:])
  }

  @Test func threadsKeepTheContextThatTheyHad() throws {
    let library = try SimulatedLibrary()
    let first = try open(library)
    let second = try open(library, index: 1)
    for device in [first, second, first] {
      let memory = try device.allocate(byteCount: 4096)
      try device.free(memory)
    }
    let handle = try #require(dlopen(library.path, RTLD_NOW))
    let current = unsafeBitCast(
      dlsym(handle, "cuCtxGetCurrent"), to: (@convention(c) (UnsafeMutablePointer<UInt>) -> CInt).self)
    var context: UInt = 1
    #expect(current(&context) == 0)
    #expect(context == 0, "a call left its context behind")
  }

  struct Function: Sendable, CustomTestStringConvertible {
    let name: String
    let isRequired: Bool
    var testDescription: String { name }
  }

  static let functions: [Function] = {
    let list = roost_cuda_symbols()
    return (0..<list.count).map {
      Function(name: String(cString: list.symbols[$0].name), isRequired: list.symbols[$0].is_required)
    }
  }()

  private static let releasing: Set = [
    "StreamDestroy_v2", "EventDestroy_v2", "DevicePrimaryCtxRelease_v2", "MemFree_v2", "MemFreeHost",
    "MemHostUnregister",
    "ModuleUnload", "MemUnmap", "MemAddressFree", "MemRelease", "IpcCloseMemHandle", "CtxPopCurrent_v2",
  ]
  /// Called once more when the device goes.
  private static let last: Set = ["CtxGetCurrent", "CtxPushCurrent_v2", "CtxPopCurrent_v2", "MemFreeHost"]
  private static let quiet: Set = [
    "GetErrorName", "StreamDestroy_v2", "EventDestroy_v2", "DevicePrimaryCtxRelease_v2", "ModuleLoadData",
    "ModuleGetFunction", "ModuleUnload", "FuncSetAttribute",
  ]
}

private func open(_ library: SimulatedLibrary, index: Int = 0) throws(RoostError) -> DrivenDevice<CUDADriver> {
  DrivenDevice(try CUDADriver(CUDADeviceConfiguration(index: index, library: library.path)))
}

/// Does a little of everything, and goes on after each error. Returns what went wrong.
private func exercise(_ library: SimulatedLibrary, index: Int = 0) -> [String] {
  var errors: [String] = []
  func attempt<Result>(_ body: () throws -> Result) -> Result? {
    do { return try body() } catch {
      errors.append("\(error)")
      return nil
    }
  }
  guard let device = attempt({ try open(library, index: index) }) else { return errors }
  let size = 64 << 10
  let patience = Deadline.after(seconds: 20)
  let host = attempt { try device.allocateHost(byteCount: size) }
  let memory = attempt { try device.allocate(byteCount: size) }
  let own = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4096)
  defer { own.deallocate() }
  let range = HostMemory(address: UInt(bitPattern: own.baseAddress), byteCount: size)
  let isRegistered = attempt { try device.registerHost(range) } != nil
  _ = attempt { try device.driver.freeMemoryBytes() }
  if let stream = attempt({ try device.makeStream(priority: .high) }), let event = attempt({ try device.makeEvent() }),
    let host, let memory
  {
    for bytes in [host.address, range.address] {
      let pieces = (0..<32).map {
        CopyPiece(source: bytes + $0 * 512, target: memory.address + $0 * 512, byteCount: 512)
      }
      _ = attempt { try stream.copy(pieces[0], .hostToDevice) }
      _ = attempt { try pieces.withUnsafeBufferPointer { try stream.copy($0, .hostToDevice) } }
      _ = attempt { try pieces[..<4].withUnsafeBufferPointer { try stream.copy($0, .hostToDevice) } }
    }
    let rows = StridedCopy(
      source: memory.address, target: host.address, rowByteCount: 16, rowCount: 4, sourcePitch: 32, targetPitch: 16)
    _ = attempt { try stream.copy(rows, .deviceToHost) }
    _ = attempt { try stream.record(event) }
    _ = attempt { try stream.wait(for: event) }
    _ = attempt { try stream.enqueue {} }
    _ = attempt { try event.wait(until: patience) }
    _ = attempt { try stream.wait(until: patience) }
    _ = attempt { try event.secondsSince(event) }
    if case .failed(let error) = stream.query() { errors.append("\(error)") }
    stream.reset()
    _ = attempt { try device.synchronize(until: patience) }
  }
  if let memory { _ = attempt { try device.exportMemory(memory) } }
  // Twice: a call that failed once has freed nothing.
  if isRegistered, attempt({ try device.unregisterHost(range) }) == nil {
    _ = attempt { try device.unregisterHost(range) }
  }
  if let memory, attempt({ try device.free(memory) }) == nil { _ = attempt { try device.free(memory) } }
  if let host, attempt({ try device.freeHost(host) }) == nil { _ = attempt { try device.freeHost(host) } }
  return errors
}

private final class LockedCount: Sendable {
  private let count = Locked(0)
  var value: Int { count.withLock { $0 } }
  func add() { count.withLock { $0 += 1 } }
}
