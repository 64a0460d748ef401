import CRoostVendors
import DeviceCUDA
import DeviceKunlun
import Foundation
import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

/// The Kunlun device over the simulated runtime: the suite, every optional function missing, every function failing.
@Suite struct DeviceKunlunConformance {
  @Test(arguments: subjects) func keepsTheContract(subject: VendorSubject) throws {
    askAll(subject.subject)
    #expect(try subject.lazy.library().leaks() == [:])
  }

  @Test func offersWhatTheRuntimeHasAndNoMore() throws {
    let whole: Capabilities = [.asynchronousCopy, .hostRegistration, .interProcessMemory]
    #expect(try Self.subject("whole").capabilities == whole)
    #expect(
      try Self.subject("without", lacking: ["xpu_host_register"]).capabilities
        == whole.subtracting(.hostRegistration))
    #expect(
      try Self.subject("without", lacking: ["xpu_ipc_open_memhandle"]).capabilities
        == whole.subtracting(.interProcessMemory))
    #expect(try Self.open(try SimulatedLibrary(), index: 1).description.busAddress == "0000:02:03.0")
  }

  @Test(arguments: functions) func aFunctionThatFailsIsNamed(function: VendorFunction) throws {
    try Self.faults.expectNamed(function) { (library, index) in exercise { try Self.open(library, index: index) } }
  }

  @Test(arguments: functions.filter(\.isRequired)) func aRequiredFunctionThatIsMissingIsNamed(
    function: VendorFunction
  ) throws {
    try Self.faults.expectMissing(function) { try Self.open($0) }
  }

  @Test(arguments: [-801, 801, 714]) func aLostDeviceSaysSoWhicheverSignTheErrorHas(result: Int) throws {
    let library = try SimulatedLibrary()
    let device = try Self.open(library)
    let stream = try device.makeStream(priority: .normal)
    let memory = try device.allocate(byteCount: 4096)
    let host = try device.allocateHost(byteCount: 4096)
    try library.control("lost=0:\(result)")
    try stream.copy(CopyPiece(source: host.address, target: memory.address, byteCount: 4096), .hostToDevice)
    let error = #expect(throws: RoostError.self) { try stream.wait(until: .after(seconds: 20)) }
    #expect(error?.code == .lost, "\(error as Any)")
  }

  @Test func hostMemoryIsRegisteredInPartsAllOrNone() throws {
    let part = 8192
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 3 * part - 4096, alignment: 4096)
    defer { bytes.deallocate() }
    let range = HostMemory(address: UInt(bitPattern: bytes.baseAddress), byteCount: bytes.count)
    let library = try SimulatedLibrary("fail=xpu_host_register:3:-705")
    let device = DrivenDevice(try KunlunDriver(index: 0, library: library.path, registrationBytesMax: part))
    #expect(throws: RoostError.self) { try device.registerHost(range) }
    #expect(try library.leaks() == [:])
    try device.registerHost(range)
    #expect(try library.callCount(of: "xpu_host_register") == 6)
    #expect(try library.leaks() == ["registrations": 3])
    try device.unregisterHost(range)
    #expect(try library.leaks() == [:])
  }

  @Test func itsLibraryUnderAnotherVendorsNameIsNotTakenForThatVendors() throws {
    // As its installer leaves it: the other vendor's name is a link to a file of its own.
    let library = try SimulatedLibrary(name: "libxpucuda.so.515.58.kunlun")
    let folder = (library.path as NSString).deletingLastPathComponent
    let link = folder + "/libcuda.so.1"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: library.path)
    let error = #expect(throws: RoostError.self) { try CUDADriver.deviceCount(.nvidia, library: link) }
    #expect(error?.code == .unsupported && error?.message.contains("kunlun") == true, "\(error as Any)")
    #expect(try KunlunDriver.deviceCount(library: library.path) == 2)
  }

  static let functions = VendorFunction.all(in: roost_xpu_symbols())

  private static let faults = FaultMatrix(
    prefix: "xpu_", code: 713, quiet: ["stream_destroy", "event_destroy"],
    last: ["current_device", "set_device", "host_free"],
    releasing: ["stream_destroy", "event_destroy", "set_device"])

  static let subjects: [VendorSubject] =
    [
      subject("kunlun"), subject("kunlun, slow", settings: "late=3000;delay=2000"),
      VendorSubject("kunlun, second device") { (path) throws(RoostError) in try KunlunDriver(index: 1, library: path) },
    ]
    + ["xpu_host_register", "xpu_ipc_open_memhandle", "xpu_get_runtime_version"].map {
      subject("kunlun without \($0)", lacking: [$0])
    }

  private static func subject(_ name: String, lacking: [String] = [], settings: String = "") -> VendorSubject {
    VendorSubject(name, lacking: lacking, settings: settings) { (path) throws(RoostError) in
      try KunlunDriver(index: 0, library: path)
    }
  }

  private static func open(
    _ library: SimulatedLibrary, index: Int = 0
  ) throws(RoostError) -> DrivenDevice<KunlunDriver> {
    DrivenDevice(try KunlunDriver(index: index, library: library.path))
  }
}
