import RoostDevice
import RoostPrimitives

/// A device that lies in wait: it keeps the contract of `Device` to the letter and not a step further, under a seed.
///
/// Its memory cannot be touched by the host. Its streams get their turns in an order that the seed decides, make copies
/// in parts and in any order of their pieces, and read and write at the last moment, so that whoever reuses a slot, a
/// staging buffer or a page too early gets wrong bytes. It breaks where its configuration says.
///
/// It has no thread: streams advance while somebody submits, asks or waits. A single thread that uses it has the same
/// run every time. Thread-safe.
public final class MockDevice: Device {
  /// What it is and offers; constant.
  public let description: DeviceDescription
  let machine: MockMachine

  /// Makes a device.
  ///
  /// - Throws: `invalidInput` for a capability that no mock has, or a negative size.
  public init(_ configuration: MockDeviceConfiguration = MockDeviceConfiguration()) throws(RoostError) {
    guard MockDeviceConfiguration.offerable.isSuperset(of: configuration.capabilities) else {
      throw RoostError(.invalidInput, "a mock cannot offer all of these capabilities")
    }
    guard configuration.memoryBytes >= 0, configuration.efficientRunBytes >= 0, configuration.turnsPerCallMax >= 0
    else { throw RoostError(.invalidInput, "a mock cannot have a negative size") }
    machine = MockMachine(configuration)
    description = DeviceDescription(
      uri: "mock:\(configuration.seed)", name: "mock under the seed \(configuration.seed)", vendor: "none",
      memoryBytes: configuration.memoryBytes, dataTypes: DataType.allCases, copyEngineCount: 2, numaNode: nil,
      capabilities: configuration.capabilities, efficientRunBytes: configuration.efficientRunBytes)
  }

  /// What is left.
  public var freeMemoryBytes: Int { machine.state.withLock { description.memoryBytes - $0.memory.usedBytes } }

  /// Memory full of junk that the host cannot touch, unless the device is host-addressable. See `Device`.
  public func allocate(byteCount: Int) throws(RoostError) -> DeviceMemory {
    try machine.state.withLock { state throws(RoostError) in
      try state.allow("device memory")
      return try state.memory.allocate(byteCount: byteCount, junk: state.schedule.random.next())
    }
  }

  /// Frees it; a copy that still needs it fails. See `Device`.
  public func free(_ memory: DeviceMemory) throws(RoostError) {
    try machine.state.withLock { state throws(RoostError) in try state.memory.free(memory) }
  }

  /// Memory full of junk. See `Device`.
  public func allocateHost(byteCount: Int) throws(RoostError) -> HostMemory {
    try machine.state.withLock { state throws(RoostError) in
      try state.allow("host memory")
      return try state.memory.allocateHost(byteCount: byteCount, junk: state.schedule.random.next())
    }
  }

  /// Frees it; a copy that still needs it fails. See `Device`.
  public func freeHost(_ memory: HostMemory) throws(RoostError) {
    try machine.state.withLock { state throws(RoostError) in try state.memory.freeHost(memory) }
  }

  /// Notes the range. See `Device`.
  public func registerHost(_ memory: HostMemory) throws(RoostError) {
    try require(.hostRegistration)
    try machine.state.withLock { state throws(RoostError) in
      try state.allow("lockable memory")
      try state.memory.register(memory)
    }
  }

  /// Forgets the range. See `Device`.
  public func unregisterHost(_ memory: HostMemory) throws(RoostError) {
    try require(.hostRegistration)
    try machine.state.withLock { state throws(RoostError) in try state.memory.unregister(memory) }
  }

  /// Makes a stream; priorities are heeded as little as the contract allows.
  public func makeStream(priority: StreamPriority) throws(RoostError) -> any DeviceStream {
    let lane = try machine.state.withLock { state throws(RoostError) in
      try state.allow("streams")
      return state.schedule.open()
    }
    guard let lane else {
      throw RoostError(.outOfResources, "\(description.uri) has \(Limits.streamCountMax) streams already")
    }
    return MockStream(priority: priority, lane: lane, machine: machine, device: description)
  }

  /// Makes an event.
  public func makeEvent() throws(RoostError) -> any DeviceEvent {
    try machine.state.withLock { state throws(RoostError) in try state.allow("events") }
    return MockEvent(machine: machine, measuresTime: description.capabilities.contains(.eventTiming))
  }

  /// Lets all streams advance to where they were when it was called.
  public func synchronize(until deadline: Deadline) throws(RoostError) {
    let wanted = machine.state.withLock { $0.schedule.submittedCounts }
    let isDone = machine.wait(until: deadline) { state in
      for (lane, count) in wanted.enumerated() where state.schedule.endedCount(of: lane) < count { return false }
      return true
    }
    guard isDone else { throw RoostError(.timedOut, "a stream was still busy when the deadline passed") }
    if let failure = machine.state.withLock({ $0.schedule.failure }) { throw failure }
  }
}
