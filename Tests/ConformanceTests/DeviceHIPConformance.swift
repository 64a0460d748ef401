import CRoostVendors
import DeviceHIP
import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

/// The HIP device over the simulated runtime: the suite, every optional function missing, every function failing.
@Suite struct DeviceHIPConformance {
  @Test(arguments: subjects) func keepsTheContract(subject: HIPSubject) throws {
    askAll(subject.subject)
    #expect(try subject.lazy.library().leaks() == [:])
  }

  @Test(arguments: functions) func aFunctionThatFailsIsNamed(function: VendorFunction) throws {
    let symbol = "hip" + function.name
    let counting = try SimulatedLibrary("fail=\(symbol):1000000:304")
    #expect(exercise { try Self.open(counting, index: 1) } == [])
    let last = try counting.callCount(of: symbol)
    #expect(last > 0 || !function.isRequired, "the exercise never calls \(symbol)")
    guard last > 0 else { return }
    let library = try SimulatedLibrary("fail=\(symbol):1:304")
    // The second device, because threads begin with the first.
    let errors = exercise { try Self.open(library, index: 1) }
    let isQuiet = ["StreamDestroy", "EventDestroy"].contains(function.name)
    #expect(isQuiet || errors.contains { $0.contains(symbol) }, "\(symbol): \(errors)")
    try library.control("reset=1")
    #expect(exercise { try Self.open(library) } == [], "after \(symbol)")
    if !isQuiet { #expect(try library.leaks() == [:], "\(symbol)") }
  }

  @Test(arguments: functions.filter(\.isRequired)) func aRequiredFunctionThatIsMissingIsNamed(
    function: VendorFunction
  ) throws {
    let symbol = "hip" + function.name
    let library = try SimulatedLibrary(lacking: [symbol])
    let error = #expect(throws: RoostError.self) { try Self.open(library) }
    #expect(error?.code == .unsupported && error?.message.contains(symbol) == true, "\(symbol): \(error as Any)")
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

  static let subjects: [HIPSubject] =
    [HIPSubject("hip", []), HIPSubject("hip, second device", [], index: 1)]
    + [
      ["hipLaunchHostFunc"], ["hipLaunchHostFunc", "hipStreamAddCallback"], ["hipMemcpy2DAsync"], ["hipHostRegister"],
      ["hipEventElapsedTime"], ["hipDeviceGetStreamPriorityRange"], ["hipIpcOpenMemHandle"],
    ].map { HIPSubject("hip without \($0.joined(separator: ", "))", $0) }

  private static func open(_ library: SimulatedLibrary, index: Int = 0) throws(RoostError) -> DrivenDevice<HIPDriver> {
    DrivenDevice(try HIPDriver(index: index, library: library.path))
  }
}

/// A simulated HIP runtime and how a device is opened on it.
struct HIPSubject: Sendable, CustomTestStringConvertible {
  let subject: DeviceSubject
  let lazy: LazyLibrary

  init(_ name: String, _ lacking: [String], index: Int = 0) {
    let lazy = LazyLibrary("", lacking)
    self.lazy = lazy
    subject = DeviceSubject(name, hold: lazy.hold { ($0 as? DrivenStream<HIPDriver>)?.handle }) {
      () throws(RoostError) in
      DrivenDevice(try HIPDriver(index: index, library: try lazy.library().path))
    }
  }

  var testDescription: String { subject.name }
}
