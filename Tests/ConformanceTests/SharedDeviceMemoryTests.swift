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
      let probe = try Probe([library.path, "\(Self.byteCount)", "\(seed)"])
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

/// A `DeviceProbe` process, killed when the last reference goes.
private final class Probe {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()

  init(_ arguments: [String]) throws {
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appending(path: "DeviceProbe")
    process.arguments = arguments
    process.standardInput = input
    process.standardOutput = output
    try process.run()
  }

  deinit { kill() }

  func say(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8)) }

  /// The next line; what there was of it if the process ends.
  func line() throws -> String {
    var text = ""
    while !text.hasSuffix("\n") {
      guard let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty else { break }
      text += String(decoding: byte, as: UTF8.self)
    }
    return text.trimmingCharacters(in: .newlines)
  }

  func kill() {
    guard process.isRunning else { return }
    Foundation.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
