import DeviceMock
import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

/// The mock under several seeds and with every capability missing; and the suite over a mock that lies, which proves
/// that the suite can fail.
@Suite struct DeviceMockConformance {
  @Test(arguments: subjects) func keepsTheContract(subject: DeviceSubject) { askAll(subject) }

  @Test(arguments: [MockFault.Kind.wrongByte, .earlyCompletion]) func theSuiteCatchesADeviceThatLies(
    kind: MockFault.Kind
  ) {
    // Every copy or recording from the third step on is a lie.
    let liar = DeviceMockConformance.subject("liar") { configuration in
      configuration.faults = (3..<2000).map { MockFault(kind, step: $0) }
      configuration.turnsPerCallMax = 1
    }
    let failed = failures(of: liar)
    let caught =
      kind == .wrongByte
      ? "copies every length and alignment and not a byte more"
      : "an event completes after what was submitted before it"
    #expect(failed.contains(caught), "\(kind): \(failed)")
  }

  static let subjects: [DeviceSubject] =
    [subject("mock, one turn at a time") { $0.turnsPerCallMax = 1 }]
    + (0..<8).map { seed in subject("mock, seed \(seed)", seed: seed) }
    + masks(of: MockDeviceConfiguration.offerable).map { mask in
      subject("mock \(mask.name)") { $0.capabilities = MockDeviceConfiguration.offerable.subtracting(mask.hidden) }
    }

  static func subject(
    _ name: String, seed: UInt64 = 1, _ adjust: @escaping @Sendable (inout MockDeviceConfiguration) -> Void = { _ in }
  ) -> DeviceSubject {
    DeviceSubject(name, exceptions: exceptions, hold: hold) { () throws(RoostError) in
      var configuration = MockDeviceConfiguration(seed: seed)
      configuration.memoryBytes = 16 << 20
      configuration.requiresRegisteredHost = true
      adjust(&configuration)
      return try MockDevice(configuration)
    }
  }

  private static let exceptions: [ConformanceException] = []

  private static let hold: DeviceSubject.Hold = { (device, stream) throws(RoostError) in
    guard let device = device as? MockDevice else { throw RoostError(.unsupported, "not a mock") }
    try device.hold(stream)
    return { device.resume() }
  }
}
