import CRoostVendors
import DeviceCUDA
import Foundation
import RoostDevice
import RoostPrimitives
import Testing

/// Every function of the driver fails, at its first and at its last call: an error that names it, nothing lost, nothing
/// that hangs, and the other device goes on.
@Suite struct CUDAFaultTests {
  @Test(arguments: functions) func aFunctionThatFailsIsNamed(function: VendorFunction) throws {
    try Self.faults.expectNamed(function) { (library, index) in exercise { try open(library, index: index) } }
  }

  @Test(arguments: functions.filter(\.isRequired)) func aRequiredFunctionThatIsMissingIsNamed(function: VendorFunction)
    throws
  {
    try Self.faults.expectMissing(function) { try open($0) }
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

  static let functions = VendorFunction.all(in: roost_cuda_symbols())

  private static let faults = FaultMatrix(
    prefix: "cu", code: 304, uncalled: ["GetErrorName"],
    quiet: [
      "GetErrorName", "StreamDestroy_v2", "EventDestroy_v2", "DevicePrimaryCtxRelease_v2", "ModuleLoadData",
      "ModuleGetFunction", "ModuleUnload", "FuncSetAttribute",
    ], last: ["CtxGetCurrent", "CtxPushCurrent_v2", "CtxPopCurrent_v2", "MemFreeHost"],
    releasing: [
      "StreamDestroy_v2", "EventDestroy_v2", "DevicePrimaryCtxRelease_v2", "MemFree_v2", "MemFreeHost",
      "MemHostUnregister", "ModuleUnload", "MemUnmap", "MemAddressFree", "MemRelease", "IpcCloseMemHandle",
      "CtxPopCurrent_v2",
    ])
}

private func open(_ library: SimulatedLibrary, index: Int = 0) throws(RoostError) -> DrivenDevice<CUDADriver> {
  DrivenDevice(try CUDADriver(CUDADeviceConfiguration(index: index, library: library.path, calibrates: false)))
}

private final class LockedCount: Sendable {
  private let count = Locked(0)
  var value: Int { count.withLock { $0 } }
  func add() { count.withLock { $0 += 1 } }
}
