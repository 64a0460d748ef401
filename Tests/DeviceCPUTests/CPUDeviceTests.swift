import DeviceCPU
import Foundation
import RoostBuiltins
import RoostDevice
import RoostPrimitives
import Synchronization
import Testing

/// A deadline that only a hang reaches.
func patience() -> Deadline { .after(seconds: 30) }

/// Pieces from parallel lists, for a batch call.
func withPieces<Result>(
  _ pieces: [CopyPiece], _ body: (UnsafeBufferPointer<CopyPiece>) throws -> Result
) rethrows -> Result {
  try pieces.withUnsafeBufferPointer(body)
}

@Suite struct CPUDeviceTests {
  @Test func isBuiltIn() throws {
    let device = try Builtins.devices().open("cpu:0")
    #expect(device.description.uri == "cpu:0")
    #expect(device.description.capabilities.contains([.hostAddressable, .batchedCopy, .stridedCopy]))
    #expect(device.freeMemoryBytes > 0)
  }

  @Test func refusesWhatItDoesNotOffer() throws {
    let device = try CPUDevice()
    let error = #expect(throws: RoostError.self) { try device.require(.streamPriority) }
    #expect(error?.code == .unsupported && error?.message.contains("stream-priority") == true)
  }

  @Test func allocatesAlignedMemoryThatCanBeUsedAndFreedOnce() throws {
    let device = try CPUDevice()
    for byteCount in [1, 4096, 100_000, (2 << 20) + 1, 5 << 20] {
      let memory = try device.allocate(byteCount: byteCount)
      #expect(memory.address % 4096 == 0)
      if byteCount >= 2 << 20 { #expect(memory.address % (2 << 20) == 0) }
      memset(UnsafeMutableRawPointer(bitPattern: memory.address)!, 1, byteCount)
      try device.free(memory)
      #expect(#expect(throws: RoostError.self) { try device.free(memory) }?.code == .stale)
    }
    let host = try device.allocateHost(byteCount: 10)
    try device.freeHost(host)
    #expect(#expect(throws: RoostError.self) { try device.freeHost(host) }?.code == .stale)
  }

  @Test func givesMemoryBackToItsLimit() throws {
    let device = try CPUDevice(CPUDeviceConfiguration(memoryBytes: 8 << 20))
    let first = try device.allocate(byteCount: 6 << 20)
    #expect(device.freeMemoryBytes <= 2 << 20)
    #expect(#expect(throws: RoostError.self) { _ = try device.allocate(byteCount: 4 << 20) }?.code == .outOfResources)
    try device.free(first)
    try device.free(try device.allocate(byteCount: 8 << 20))
  }

  @Test(arguments: [0, -1, Int.min]) func refusesToAllocate(byteCount: Int) throws {
    let device = try CPUDevice()
    #expect(#expect(throws: RoostError.self) { _ = try device.allocate(byteCount: byteCount) }?.code == .invalidInput)
  }

  @Test func refusesToAllocateMoreThanThereIs() throws {
    let device = try CPUDevice()
    for byteCount in [Int.max, Int.max - 4096, 1 << 60] {
      #expect(
        #expect(throws: RoostError.self) { _ = try device.allocate(byteCount: byteCount) }?.code == .outOfResources)
    }
  }

  @Test func registersMappedHostMemoryOnce() throws {
    let device = try CPUDevice()
    let owned = try device.allocateHost(byteCount: 1 << 20)
    let part = HostMemory(address: owned.address + 100, byteCount: 5000)
    try device.registerHost(part)
    #expect(#expect(throws: RoostError.self) { try device.registerHost(part) }?.code == .busy)
    try device.unregisterHost(part)
    #expect(#expect(throws: RoostError.self) { try device.unregisterHost(part) }?.code == .stale)
    let nowhere = HostMemory(address: 1 << 55, byteCount: 4096)
    #expect(throws: RoostError.self) { try device.registerHost(nowhere) }
    #expect(throws: RoostError.self) { try device.registerHost(HostMemory(address: 0, byteCount: 4096)) }
    #expect(throws: RoostError.self) { try device.registerHost(HostMemory(address: 4096, byteCount: 0)) }
    #expect(throws: RoostError.self) { try device.registerHost(HostMemory(address: .max - 10, byteCount: 4096)) }
  }

  @Test func synchronizesAllStreamsAndReportsTheOneThatFailed() throws {
    let device = try CPUDevice()
    let good = try device.makeStream(priority: .normal)
    let bad = try device.makeStream(priority: .high)
    let count = Tally()
    for _ in 0..<100 { try good.enqueue { count.add() } }
    try device.synchronize(until: patience())
    #expect(count.value == 100)
    try bad.copy(CopyPiece(source: 0, target: 4096, byteCount: 1), .hostToDevice)
    #expect(#expect(throws: RoostError.self) { try device.synchronize(until: patience()) }?.code == .invalidInput)
    bad.reset()
    try device.synchronize(until: patience())
  }
}
