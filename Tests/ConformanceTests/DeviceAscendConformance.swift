import CRoostVendors
import DeviceAscend
import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

/// The Ascend device over the simulated runtime: the suite, every optional function missing, every function failing.
@Suite struct DeviceAscendConformance {
  @Test(arguments: subjects) func keepsTheContract(subject: VendorSubject) throws {
    askAll(subject.subject)
    #expect(try subject.lazy.library().leaks() == [:])
  }

  @Test func aMissingFunctionSwitchesOffWhatNeedsItAndNothingElse() throws {
    let whole = try Self.subject("whole").capabilities
    for (functions, capability) in Self.optional {
      let without = try Self.subject("without", lacking: functions).capabilities
      #expect(without == whole.subtracting(capability), "without \(functions)")
      #expect(whole.isSuperset(of: capability))
    }
  }

  @Test(arguments: functions) func aFunctionThatFailsIsNamed(function: VendorFunction) throws {
    try Self.faults.expectNamed(function) { (library, index) in
      exercise {
        // The thread has the other device's context then, and there is something to put back.
        let other = try Self.open(library, index: 1 - index)
        return try withExtendedLifetime(other) { try Self.open(library, index: index) }
      }
    }
  }

  @Test(arguments: functions.filter(\.isRequired)) func aRequiredFunctionThatIsMissingIsNamed(
    function: VendorFunction
  ) throws {
    try Self.faults.expectMissing(function) { try Self.open($0) }
  }

  @Test(arguments: [507010, 507053]) func aLostDeviceSaysSoAndAnotherGoesOn(result: Int) throws {
    let library = try SimulatedLibrary()
    let device = try Self.open(library)
    let other = try Self.open(library, index: 1)
    let stream = try device.makeStream(priority: .normal)
    let memory = try device.allocate(byteCount: 4096)
    let host = try device.allocateHost(byteCount: 4096)
    try library.control("lost=0:\(result)")
    try stream.copy(CopyPiece(source: host.address, target: memory.address, byteCount: 4096), .hostToDevice)
    let error = #expect(throws: RoostError.self) { try stream.wait(until: .after(seconds: 20)) }
    #expect(error?.code == .lost && error?.description.contains("\(result)") == true, "\(error as Any)")
    try library.control("reset=1")
    #expect(exercise { try Self.open(library, index: 1) } == [])
    try other.free(try other.allocate(byteCount: 4096))
  }

  @Test func aThreadKeepsTheContextThatItHad() throws {
    let library = try SimulatedLibrary()
    let (first, second) = (try Self.open(library), try Self.open(library, index: 1))
    // The thread had none, and has the first device's since that was opened; the second one puts it back.
    for device in [second, first, second] { try device.free(try device.allocate(byteCount: 4096)) }
    #expect(try library.currentDevice() == 0)
  }

  @Test(arguments: [(207004, "npu-smi"), (507033, "another process"), (507899, "aclInit")])
  func aDriverWithoutADeviceSaysWhy(result: Int, hint: String) throws {
    let library = try SimulatedLibrary("init=\(result)")
    let error = #expect(throws: RoostError.self) { try Self.open(library) }
    #expect(error?.description.contains(hint) == true, "\(error as Any)")
  }

  static let functions = VendorFunction.all(in: roost_acl_symbols())

  private static let faults = FaultMatrix(
    prefix: "acl", code: 507899, quiet: ["rtDestroyStream", "rtDestroyEvent", "rtResetDevice"],
    last: ["rtGetCurrentContext", "rtSetCurrentContext", "rtFreeHost"],
    releasing: ["rtDestroyStream", "rtDestroyEvent", "rtResetDevice", "rtSetCurrentContext"])

  private static let optional: [(functions: [String], capability: Capabilities)] = [
    (["aclrtMemcpyBatchAsync"], .batchedCopy), (["aclrtMemcpy2dAsync"], .stridedCopy),
    (["aclrtHostRegisterV2"], []), (["aclrtHostRegisterV2", "aclrtHostRegister"], .hostRegistration),
    (["aclrtEventElapsedTime"], .eventTiming), (["aclrtLaunchHostFunc"], .hostCallbacks),
    (["aclrtDeviceGetStreamPriorityRange"], .streamPriority), (["aclrtIpcMemImportByKey"], .interProcessMemory),
    (["aclrtGetSocName", "aclGetRecentErrMsg", "aclrtGetVersion"], []),
  ]

  static let subjects: [VendorSubject] =
    [
      subject("ascend"), subject("ascend, slow", settings: "late=3000;delay=2000"),
      VendorSubject("ascend, second device") { (path) throws(RoostError) in try AscendDriver(index: 1, library: path) },
    ]
    + optional.map { functions, _ in subject("ascend without \(functions.joined(separator: ", "))", lacking: functions)
    }

  private static func subject(_ name: String, lacking: [String] = [], settings: String = "") -> VendorSubject {
    VendorSubject(name, lacking: lacking, settings: settings) { (path) throws(RoostError) in
      try AscendDriver(index: 0, library: path)
    }
  }

  private static func open(
    _ library: SimulatedLibrary, index: Int = 0
  ) throws(RoostError) -> DrivenDevice<AscendDriver> {
    DrivenDevice(try AscendDriver(index: index, library: library.path))
  }
}
