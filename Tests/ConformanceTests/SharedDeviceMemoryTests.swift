import DeviceCPU
import DeviceCUDA
import Foundation
import RoostDevice
import RoostPrimitives
import Testing

/// Device memory that two processes share, by handle and by descriptor.
@Suite struct SharedDeviceMemoryTests {
  private static let byteCount = 100_000

  @Test func twoProcessesSeeEachOthersBytesAndOneOutlivesTheOther() throws {
    let library = try SimulatedLibrary()
    do {
      let seed = UInt64.random(in: 0..<1 << 40)
      let probe = try DeviceProbeProcess([library.path, "\(Self.byteCount)", "\(seed)"])
      let handle = SharedMemoryHandle(
        bytes: try Self.bytes(ofHexadecimal: try probe.line()), descriptor: -1, byteCount: Self.byteCount)
      let device = try Self.open(library)
      let bench = try Bench(device, Self.byteCount)
      let memory = try device.importMemory(handle)
      #expect(try bench.holds(memory, seed: seed), "seed \(seed)")
      try bench.fill(memory, seed: seed + 1)
      try probe.say("look")
      #expect(try probe.line() == "same", "seed \(seed)")
      probe.kill()
      // What the dead process had exported cannot be opened any more; the device goes on.
      try device.free(memory)
      #expect(throws: RoostError.self) { try device.importMemory(handle) }
      let own = try device.allocate(byteCount: Self.byteCount)
      try bench.fill(own, seed: 5)
      #expect(try bench.holds(own, seed: 5))
      try device.free(own)
      #expect(throws: RoostError.self) { try device.free(memory) }
    }
    #expect(try library.leaks() == [:])
  }

  @Test func aProcessDoesNotOpenItsOwnHandleAndNoHandleOfNonsense() throws {
    let library = try SimulatedLibrary()
    let device = try Self.open(library)
    let memory = try device.allocate(byteCount: 4096)
    let handle = try device.exportMemory(memory)
    #expect(throws: RoostError.self) { try device.importMemory(handle) }
    for bytes in [[], [1, 2, 3], Array(repeating: UInt8.max, count: 72), Array(repeating: 0, count: 72)] as [[UInt8]] {
      let nonsense = SharedMemoryHandle(bytes: bytes, descriptor: -1, byteCount: 4096)
      #expect(throws: RoostError.self) { try device.importMemory(nonsense) }
    }
    #expect(throws: RoostError.self) { try device.exportMemory(DeviceMemory(address: 4096, byteCount: 1)) }
    try device.free(memory)
  }

  @Test func memorySharedByDescriptorIsTheSameMemory() throws {
    let library = try SimulatedLibrary()
    do {
      let exporting = try Self.open(library, sharesByDescriptor: true)
      let importing = try Self.open(library)
      let bench = try Bench(exporting, Self.byteCount)
      let other = try Bench(importing, Self.byteCount)
      let memory = try exporting.allocate(byteCount: Self.byteCount)
      let handle = try exporting.exportMemory(memory)
      #expect(handle.descriptor >= 0)
      let same = try importing.importMemory(handle)
      close(handle.descriptor)
      #expect(same.address != memory.address)
      try bench.fill(memory, seed: 1)
      #expect(try other.holds(same, seed: 1))
      try exporting.free(memory)
      #expect(try other.holds(same, seed: 1), "the memory went with its exporter")
      try importing.free(same)
    }
    #expect(try library.leaks() == [:])
  }

  @Test func devicesOfOneProcessReachEachOther() throws {
    let library = try SimulatedLibrary()
    let first = try Self.open(library)
    let second = DrivenDevice(
      try CUDADriver(CUDADeviceConfiguration(index: 1, library: library.path, calibrates: false)))
    #expect(try first.driver.enablePeerAccess(to: second.driver))
    #expect(try first.driver.enablePeerAccess(to: second.driver), "a second time is no error")
    #expect(try !first.driver.enablePeerAccess(to: first.driver))
    let (bench, other) = (try Bench(first, Self.byteCount), try Bench(second, Self.byteCount))
    let source = try first.allocate(byteCount: Self.byteCount)
    let target = try second.allocate(byteCount: Self.byteCount)
    try bench.fill(source, seed: 9)
    let stream = try first.makeStream(priority: .normal)
    try stream.copy(
      CopyPiece(source: source.address, target: target.address, byteCount: UInt(Self.byteCount)), .deviceToDevice)
    try stream.wait(until: .after(seconds: 30))
    #expect(try other.holds(target, seed: 9), "a page that migrated has other bytes")
  }

  private static func open(
    _ library: SimulatedLibrary, sharesByDescriptor: Bool = false
  ) throws(RoostError) -> DrivenDevice<CUDADriver> {
    let configuration = CUDADeviceConfiguration(
      library: library.path, sharesByDescriptor: sharesByDescriptor, calibrates: false)
    return DrivenDevice(try CUDADriver(configuration))
  }

  @Test func theProcessorsMemoryOutlivesTheProcessThatSharedIt() throws {
    let seed = UInt64.random(in: 0..<1 << 40)
    let probe = try DeviceProbeProcess(["memory", "\(Self.byteCount)", "\(seed)"])
    let told = try probe.line().split(separator: " ").map(String.init)
    try #require(told.count == 3, "\(told)")
    // A descriptor would be sent over a socket; the kernel shows it to the same user as a file, too.
    let descriptor = Foundation.open("/proc/\(told[0])/fd/\(told[1])", O_RDWR | O_CLOEXEC)
    try #require(descriptor >= 0)
    let device = try CPUDevice()
    let handle = SharedMemoryHandle(
      bytes: try Self.bytes(ofHexadecimal: told[2]), descriptor: descriptor, byteCount: Self.byteCount)
    let memory = try device.importMemory(handle)
    close(descriptor)
    let bytes = HostMemory(address: memory.address, byteCount: memory.byteCount).bytes
    #expect(Self.holds(bytes, seed: seed), "seed \(seed)")
    Self.fill(bytes, seed: seed + 1)
    try probe.say("look")
    #expect(try probe.line() == "same", "seed \(seed)")
    probe.kill()
    #expect(Self.holds(bytes, seed: seed + 1), "the memory went with its process")
    #expect(throws: RoostError.self) { try device.exportMemory(memory) }
    try device.free(memory)
    #expect(throws: RoostError.self) { try device.free(memory) }
  }

  @Test func theProcessorOpensNoHandleOfNonsense() throws {
    let device = try CPUDevice()
    let memory = try device.allocate(byteCount: 8192)
    let good = try device.exportMemory(memory)
    defer { close(good.descriptor) }
    // A file that its sender may cut off would take whoever touches it along.
    let file = "/dev/shm/roost-test-\(UUID())"
    let cuttable = Foundation.open(file, O_RDWR | O_CREAT | O_EXCL, 0o600)
    unlink(file)
    defer { close(cuttable) }
    #expect(ftruncate(cuttable, 8192) == 0)
    let nonsense = [
      SharedMemoryHandle(bytes: [], descriptor: good.descriptor, byteCount: 8192),
      SharedMemoryHandle(bytes: good.bytes, descriptor: -1, byteCount: 8192),
      SharedMemoryHandle(bytes: good.bytes, descriptor: cuttable, byteCount: 8192),
      SharedMemoryHandle(bytes: good.bytes, descriptor: good.descriptor, byteCount: 1 << 40),
      SharedMemoryHandle(bytes: good.bytes, descriptor: good.descriptor, byteCount: 0),
    ]
    for handle in nonsense {
      let error = #expect(throws: RoostError.self) { try device.importMemory(handle) }
      #expect(error?.code == .invalidInput)
    }
    let same = try device.importMemory(good)
    try device.free(memory)
    try device.free(same)
  }

  private static func fill(_ bytes: UnsafeMutableRawBufferPointer, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
  }

  private static func holds(_ bytes: UnsafeMutableRawBufferPointer, seed: UInt64) -> Bool {
    var random = SplitMix64(seed: seed)
    return bytes.allSatisfy { $0 == UInt8(truncatingIfNeeded: random.next()) }
  }

  private static func bytes(ofHexadecimal text: String) throws -> [UInt8] {
    try stride(from: 0, to: text.utf8.count, by: 2).map { offset in
      let start = text.index(text.startIndex, offsetBy: offset)
      return try #require(UInt8(text[start..<text.index(start, offsetBy: 2)], radix: 16))
    }
  }
}

/// Fills and compares device memory by way of the host.
private final class Bench {
  private let device: DrivenDevice<CUDADriver>
  private let stream: any DeviceStream
  private let host: HostMemory

  init(_ device: DrivenDevice<CUDADriver>, _ byteCount: Int) throws {
    self.device = device
    stream = try device.makeStream(priority: .normal)
    host = try device.allocateHost(byteCount: byteCount)
  }

  deinit { try? device.freeHost(host) }

  func fill(_ memory: DeviceMemory, seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    for index in host.bytes.indices { host.bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
    let count = UInt(host.byteCount)
    try stream.copy(CopyPiece(source: host.address, target: memory.address, byteCount: count), .hostToDevice)
    try stream.wait(until: .after(seconds: 30))
  }

  func holds(_ memory: DeviceMemory, seed: UInt64) throws -> Bool {
    let count = UInt(host.byteCount)
    try stream.copy(CopyPiece(source: memory.address, target: host.address, byteCount: count), .deviceToHost)
    try stream.wait(until: .after(seconds: 30))
    var random = SplitMix64(seed: seed)
    return host.bytes.allSatisfy { $0 == UInt8(truncatingIfNeeded: random.next()) }
  }
}
