import RoostDevice
import RoostPrimitives

extension DeviceSuite {
  static let memoryChecks: [Check] = [
    check("says what it is", describes),
    check("allocates memory on pages that do not overlap", allocatesPages),
    check("allocates host memory that the host can write and read", allocatesHost),
    check("refuses sizes that make no sense, and those that do not fit", refusesSizes),
    check("frees what it gave, once", freesOnce),
    Check("runs out of memory in good order", obstacle: tooLargeToFill, runsOut),
  ]

  private static func describes(_ trial: DeviceTrial) {
    let description = trial.device.description
    trial.expect(description.uri.contains(":"), "its URI has no number: \(description.uri)")
    trial.expect(!description.name.isEmpty && !description.vendor.isEmpty, "it has no name or no vendor")
    trial.expect(description.memoryBytes > 0, "it has no memory")
    trial.expect(!description.dataTypes.isEmpty, "it stores no data type")
    trial.expect(description.copyEngineCount >= 0 && description.efficientRunBytes >= 0, "it counts below zero")
    let free = trial.device.freeMemoryBytes
    trial.expect((0...description.memoryBytes).contains(free), "\(free) of \(description.memoryBytes) bytes are free")
    trial.expect(description.capabilities == trial.device.description.capabilities, "it changes what it offers")
  }

  private static func allocatesPages(_ trial: DeviceTrial) throws(RoostError) {
    var ranges: [Range<UInt>] = []
    for byteCount in [1, 4095, 4096, 4097, 100_000, 1 << 20] {
      let memory = try trial.deviceMemory(byteCount)
      trial.expect(memory.byteCount == byteCount, "asked for \(byteCount) bytes, got \(memory.byteCount)")
      trial.expect(memory.address != 0 && memory.address % 4096 == 0, "\(memory.address) is not aligned to 4 KiB")
      let range = memory.address..<memory.address + UInt(byteCount)
      trial.expect(!ranges.contains { $0.overlaps(range) }, "\(byteCount) bytes overlap earlier ones")
      ranges.append(range)
    }
  }

  private static func allocatesHost(_ trial: DeviceTrial) throws(RoostError) {
    let first = try trial.hostBytes(10_001, seed: 1)
    let second = try trial.hostBytes(10_001, seed: 2)
    let copy = try trial.hostBytes(10_001, seed: 1)
    trial.expect(first.equals(copy) && !first.equals(second), "host memory does not keep what is written to it")
  }

  private static func refusesSizes(_ trial: DeviceTrial) {
    for byteCount in [0, -1, Int.min] {
      trial.expectError(.invalidInput, "allocating \(byteCount) bytes") { () throws(RoostError) in
        _ = try trial.device.allocate(byteCount: byteCount)
      }
      trial.expectError(.invalidInput, "allocating \(byteCount) bytes of host memory") { () throws(RoostError) in
        _ = try trial.device.allocateHost(byteCount: byteCount)
      }
    }
    for byteCount in [Int.max, Int.max - 4095, 1 << 50] {
      trial.expectError(.outOfResources, "allocating \(byteCount) bytes") { () throws(RoostError) in
        _ = try trial.device.allocate(byteCount: byteCount)
      }
      trial.expectError(.outOfResources, "allocating \(byteCount) bytes of host memory") { () throws(RoostError) in
        _ = try trial.device.allocateHost(byteCount: byteCount)
      }
    }
  }

  private static func freesOnce(_ trial: DeviceTrial) throws(RoostError) {
    let device = trial.device
    let memory = try device.allocate(byteCount: 5000)
    let host = try device.allocateHost(byteCount: 5000)
    trial.expectError(.stale, "freeing host memory as device memory") { () throws(RoostError) in
      try device.free(DeviceMemory(address: host.address, byteCount: 5000))
    }
    trial.expectError(.stale, "freeing device memory as host memory") { () throws(RoostError) in
      try device.freeHost(HostMemory(address: memory.address, byteCount: 5000))
    }
    try device.free(memory)
    try device.freeHost(host)
    trial.expectError(.stale, "freeing twice") { () throws(RoostError) in try device.free(memory) }
    trial.expectError(.stale, "freeing host memory twice") { () throws(RoostError) in try device.freeHost(host) }
    trial.expectError(.stale, "freeing what was never allocated") { () throws(RoostError) in
      try device.free(DeviceMemory(address: 4096, byteCount: 1))
    }
  }

  @Sendable private static func tooLargeToFill(_ trial: DeviceTrial) -> String? {
    trial.device.description.memoryBytes <= smallMemoryBytes ? nil : "has too much memory to fill in a test"
  }

  private static func runsOut(_ trial: DeviceTrial) throws(RoostError) {
    let device = trial.device
    let most = device.description.memoryBytes / 4 * 3
    let memory = try device.allocate(byteCount: most)
    trial.expect(device.freeMemoryBytes <= device.description.memoryBytes - most, "used memory counts as free")
    trial.expectError(.outOfResources, "allocating twice three quarters") { () throws(RoostError) in
      _ = try device.allocate(byteCount: most)
    }
    try device.free(memory)
    try device.free(try device.allocate(byteCount: most))
  }
}
