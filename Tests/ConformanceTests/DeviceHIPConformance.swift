import CRoostVendors
import DeviceHIP
import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

/// The HIP device over the simulated runtime: the suite, every optional function missing, every function failing.
@Suite struct DeviceHIPConformance {
  @Test(arguments: subjects) func keepsTheContract(subject: VendorSubject) throws {
    askAll(subject.subject)
    #expect(try subject.lazy.library().leaks() == [:])
  }

  @Test(arguments: functions) func aFunctionThatFailsIsNamed(function: VendorFunction) throws {
    try Self.faults.expectNamed(function) { (library, index) in exercise { try Self.open(library, index: index) } }
  }

  @Test(arguments: functions.filter(\.isRequired)) func aRequiredFunctionThatIsMissingIsNamed(
    function: VendorFunction
  ) throws {
    try Self.faults.expectMissing(function) { try Self.open($0) }
  }

  @Test func aThreadKeepsTheDeviceThatItHadChosen() throws {
    let library = try SimulatedLibrary()
    let devices = [try Self.open(library), try Self.open(library, index: 1)]
    for device in devices + devices.reversed() {
      let memory = try device.allocate(byteCount: 4096)
      try device.free(memory)
    }
    #expect(try library.number(from: "hipGetDevice") == 0)
  }

  static let functions = VendorFunction.all(in: roost_hip_symbols())

  private static let faults = FaultMatrix(
    prefix: "hip", code: 304, quiet: ["StreamDestroy", "EventDestroy"],
    last: ["GetDevice", "SetDevice", "HostFree"], releasing: ["StreamDestroy", "EventDestroy", "SetDevice"])

  static let subjects: [VendorSubject] =
    [
      VendorSubject("hip") { (path) throws(RoostError) in try HIPDriver(index: 0, library: path) },
      VendorSubject("hip, second device") { (path) throws(RoostError) in try HIPDriver(index: 1, library: path) },
    ]
    + [
      ["hipLaunchHostFunc"], ["hipLaunchHostFunc", "hipStreamAddCallback"], ["hipMemcpy2DAsync"], ["hipHostRegister"],
      ["hipEventElapsedTime"], ["hipDeviceGetStreamPriorityRange"], ["hipIpcOpenMemHandle"],
    ].map { functions in
      VendorSubject("hip without \(functions.joined(separator: ", "))", lacking: functions) {
        (path) throws(RoostError) in try HIPDriver(index: 0, library: path)
      }
    }

  private static func open(_ library: SimulatedLibrary, index: Int = 0) throws(RoostError) -> DrivenDevice<HIPDriver> {
    DrivenDevice(try HIPDriver(index: index, library: library.path))
  }
}
