import DeviceCPU
import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

/// The CPU device in every configuration that has a code path of its own.
@Suite struct DeviceCPUConformance {
  @Test(arguments: subjects) func keepsTheContract(subject: DeviceSubject) { askAll(subject) }

  @Test func isNotExcusedFromMoreThanItLacks() throws {
    let plain = tally(try #require(Self.subjects.first))
    #expect(Set(plain.unsupported.values.map { $0.prefix(6) }) == ["offers"])
    #expect(plain.passed + plain.unsupported.count == DeviceSuite.checks.count)
  }

  static let subjects: [DeviceSubject] =
    [subject("cpu")] + variants + hidden + [
      subject("cpu, small pages") { $0.usesHugePages = false },
      subject("cpu, not populated") { $0.populates = false },
      subject("cpu, sleeping at once") { $0.spinNanoseconds = 0 },
      subject("cpu, staged") { $0.efficientRunBytes = 1 << 20 },
    ]

  private static let variants = (0..<4).map { (number: Int) in
    subject("cpu, copy loop \(number)") { $0.copyVariant = number }
  }

  private static let hidden = masks(of: [
    .hostAddressable, .asynchronousCopy, .batchedCopy, .stridedCopy, .hostRegistration, .eventTiming, .hostCallbacks,
    .interProcessMemory, .directStorage, .collectives,
  ]).map { mask in
    let plain = subject("cpu")
    return DeviceSubject("cpu \(mask.name)", hold: plain.hold) { () throws(RoostError) in
      MaskedDevice(try plain.open(), hiding: mask.hidden)
    }
  }

  private static func subject(
    _ name: String, _ adjust: @escaping @Sendable (inout CPUDeviceConfiguration) -> Void = { _ in }
  ) -> DeviceSubject {
    DeviceSubject(name, hold: hold) { () throws(RoostError) in
      var configuration = CPUDeviceConfiguration(memoryBytes: 16 << 20)
      adjust(&configuration)
      do throws(RoostError) {
        return try CPUDevice(configuration)
      } catch {
        // The copy loop of another processor.
        guard configuration.copyVariant != nil else { throw error }
        throw RoostError(.unsupported, error.message)
      }
    }
  }

  /// A host function that waits: not allowed by the contract, and harmless on this device, whose streams are threads.
  private static let hold: DeviceSubject.Hold = { (_, stream) throws(RoostError) in
    let bell = Doorbell()
    let closed = bell.ringCount
    let plain = (stream as? MaskedStream)?.unmasked ?? stream
    try plain.enqueue { while bell.ringCount == closed { bell.wait(past: closed, spinNanoseconds: 0, until: .never) } }
    return { bell.ring() }
  }
}
