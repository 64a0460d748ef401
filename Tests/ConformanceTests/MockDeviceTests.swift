import DeviceMock
import Foundation
import RoostDevice
import RoostPrimitives
import Testing

/// What the mock does beyond a device's contract: it lies in wait.
@Suite struct MockDeviceTests {
  static var soon: Deadline { .after(seconds: 30) }

  /// Two streams copy one word each, again and again; returns the mock's history.
  private func history(_ configuration: MockDeviceConfiguration) throws -> UInt64 {
    let device = try MockDevice(configuration)
    let memory = try device.allocate(byteCount: 4096)
    let host = try device.allocateHost(byteCount: 4096)
    let streams = [try device.makeStream(priority: .normal), try device.makeStream(priority: .high)]
    for number in 0..<100 as Range<UInt> {
      let piece = CopyPiece(source: host.address + number, target: memory.address + number, byteCount: 1)
      try streams[Int(number % 2)].copy(piece, .hostToDevice)
    }
    try device.synchronize(until: Self.soon)
    return device.history
  }

  @Test func hasTheSameRunUnderTheSameSeedAndOthersUnderOthers() throws {
    let histories = try (0..<20).map { try history(MockDeviceConfiguration(seed: $0)) }
    #expect(try (0..<20).map { try history(MockDeviceConfiguration(seed: $0)) } == histories)
    #expect(Set(histories).count == 20)
  }

  @Test func itsMemoryCannotBeTouchedByTheHost() throws {
    for isAddressable in [false, true] {
      var configuration = MockDeviceConfiguration()
      if isAddressable { configuration.capabilities.insert(.hostAddressable) }
      let device = try MockDevice(configuration)
      let memory = try device.allocate(byteCount: 100)
      // The kernel touches the byte for us, and says what would have happened.
      var ends: [CInt] = [0, 0]
      try #require(pipe(&ends) == 0)
      defer { for end in ends { close(end) } }
      let written = write(ends[1], UnsafeRawPointer(bitPattern: memory.address), 1)
      #expect(written == (isAddressable ? 1 : -1))
      if !isAddressable { #expect(errno == EFAULT) }
    }
  }

  @Test func readsASourceAtTheLastMoment() throws {
    var configuration = MockDeviceConfiguration()
    configuration.turnsPerCallMax = 0
    let device = try MockDevice(configuration)
    let memory = try device.allocate(byteCount: 64)
    let host = try device.allocateHost(byteCount: 64)
    let stream = try device.makeStream(priority: .normal)
    host.bytes.initializeMemory(as: UInt8.self, repeating: 1)
    try stream.copy(CopyPiece(source: host.address, target: memory.address, byteCount: 64), .hostToDevice)
    // Reused too early: before the copy was waited for.
    host.bytes.initializeMemory(as: UInt8.self, repeating: 2)
    try stream.wait(until: Self.soon)
    #expect(try device.view(of: memory).allSatisfy { $0 == 2 })
  }

  @Test func everyOrderOfTwoStreamsComesUp() throws {
    var orders: Set<[Int]> = []
    for seed in 0..<200 as Range<UInt64> {
      let device = try MockDevice(MockDeviceConfiguration(seed: seed))
      let streams = [try device.makeStream(priority: .normal), try device.makeStream(priority: .high)]
      let order = Order()
      for number in 0..<4 { try streams[number % 2].enqueue { order.numbers.append(number) } }
      try device.synchronize(until: Self.soon)
      orders.insert(order.numbers)
    }
    // Four operations, two on each stream: 4 over 2.
    #expect(orders.count == 6)
  }

  /// Written by the mock's host functions, which the test's own thread calls.
  private final class Order: @unchecked Sendable { var numbers: [Int] = [] }

  @Test(arguments: MockFault.Kind.allCases) func everyFaultHappensAtEveryStepThatItCan(kind: MockFault.Kind) throws {
    var steps: [Int] = []
    while true {
      var configuration = MockDeviceConfiguration(seed: 5)
      configuration.faults = [MockFault(kind, step: steps.last.map { $0 + 1 } ?? 0)]
      let device = try MockDevice(configuration)
      try? work(device)
      device.resume()
      #expect(device.isLost == (kind == .lostDevice && !device.firedFaults.isEmpty))
      guard let fired = device.firedFaults.first else { break }
      #expect(fired.kind == kind && device.firedFaults.count == 1)
      steps.append(fired.step)
    }
    let expected: [MockFault.Kind: Int] = [
      .outOfResources: 4, .refusal: 2, .failedCopy: 2, .lostDevice: 9, .stall: 3, .wrongByte: 2, .earlyCompletion: 1,
    ]
    #expect(steps.count == expected[kind], "\(kind) happened at \(steps)")
  }

  private func work(_ device: MockDevice) throws {
    let memory = try device.allocate(byteCount: 4096)
    let host = try device.allocateHost(byteCount: 4096)
    let stream = try device.makeStream(priority: .normal)
    let event = try device.makeEvent()
    try stream.copy(CopyPiece(source: host.address, target: memory.address, byteCount: 4096), .hostToDevice)
    try stream.record(event)
    try event.wait(until: .after(seconds: 0.001))
    try stream.wait(until: .after(seconds: 0.001))
  }

  @Test func aLostDeviceEndsEverythingAndNothingBringsItBack() throws {
    var configuration = MockDeviceConfiguration()
    configuration.turnsPerCallMax = 0
    configuration.faults = [MockFault(.lostDevice, step: 6)]
    let device = try MockDevice(configuration)
    let memory = try device.allocate(byteCount: 4096)
    let host = try device.allocateHost(byteCount: 4096)
    let stream = try device.makeStream(priority: .normal)
    let event = try device.makeEvent()
    try stream.copy(CopyPiece(source: host.address, target: memory.address, byteCount: 4096), .hostToDevice)
    try stream.record(event)
    try event.wait(until: Self.soon)
    #expect(#expect(throws: RoostError.self) { try stream.wait(until: Self.soon) }?.code == .lost)
    stream.reset()
    #expect(#expect(throws: RoostError.self) { try device.synchronize(until: Self.soon) }?.code == .lost)
    #expect(#expect(throws: RoostError.self) { _ = try device.makeEvent() }?.code == .lost)
    #expect(
      #expect(throws: RoostError.self) {
        try stream.copy(CopyPiece(source: host.address, target: memory.address, byteCount: 1), .hostToDevice)
      }?.code == .lost)
    try device.free(memory)
  }

  @Test func aCopyOfTheWrongMemoryIsFoundOut() throws {
    var configuration = MockDeviceConfiguration()
    configuration.requiresRegisteredHost = true
    let device = try MockDevice(configuration)
    let memory = try device.allocate(byteCount: 100)
    let other = try device.allocate(byteCount: 100)
    let host = try device.allocateHost(byteCount: 100)
    let freed = try device.allocateHost(byteCount: 100)
    try device.freeHost(freed)
    try device.free(other)
    let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 8)
    defer { plain.deallocate() }
    let stream = try device.makeStream(priority: .normal)
    let cases: [(String, CopyPiece, CopyDirection)] = [
      ("beyond", CopyPiece(source: memory.address + 1, target: host.address, byteCount: 100), .deviceToHost),
      ("freed", CopyPiece(source: other.address, target: host.address, byteCount: 1), .deviceToHost),
      ("freed host", CopyPiece(source: memory.address, target: freed.address, byteCount: 1), .deviceToHost),
      ("direction", CopyPiece(source: host.address, target: memory.address, byteCount: 1), .deviceToHost),
      ("sides", CopyPiece(source: memory.address, target: memory.address + 50, byteCount: 1), .deviceToHost),
      (
        "unregistered", CopyPiece(source: memory.address, target: UInt(bitPattern: plain.baseAddress), byteCount: 1),
        .deviceToHost
      ),
    ]
    for (name, piece, direction) in cases {
      try stream.copy(piece, direction)
      #expect(
        #expect(throws: RoostError.self, "\(name)") { try stream.wait(until: Self.soon) }?.code == .invalidInput)
      stream.reset()
    }
    try device.registerHost(HostMemory(address: UInt(bitPattern: plain.baseAddress), byteCount: 100))
    try stream.copy(cases[5].1, .deviceToHost)
    try stream.wait(until: Self.soon)
  }

  @Test func refusesAConfigurationThatMakesNoSense() {
    var collective = MockDeviceConfiguration()
    collective.capabilities.insert(.collectives)
    var negative = MockDeviceConfiguration()
    negative.memoryBytes = -1
    for configuration in [collective, negative] {
      #expect(#expect(throws: RoostError.self) { _ = try MockDevice(configuration) }?.code == .invalidInput)
    }
  }
}
