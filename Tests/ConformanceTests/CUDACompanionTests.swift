import CRoostVendors
import DeviceCUDA
import Foundation
import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

/// What CUDA devices do with other libraries, on simulated ones: groups by NCCL, files by GPUDirect Storage.
@Suite struct CUDACompanionTests {
  @Test func theDeviceKeepsTheContractWithItsCompanions() throws {
    let library = try SimulatedLibrary()
    let subject = DeviceSubject("cuda with NCCL and GPUDirect Storage") { () throws(RoostError) in
      try Self.open(library)
    }
    let capabilities = try subject.open().description.capabilities
    #expect(capabilities.isSuperset(of: [.collectives, .directStorage]))
    askAll(subject)
    #expect(try library.leaks() == [:])
  }

  @Test func nothingIsOfferedUnlessSomebodyAsks() throws {
    let library = try SimulatedLibrary()
    let configuration = CUDADeviceConfiguration(library: library.path, calibrates: false)
    let offered = try CUDADriver(configuration).description.capabilities
    #expect(offered.isDisjoint(with: [.directStorage]))
  }

  @Test func devicesReduceAndGather() throws {
    let library = try SimulatedLibrary()
    let name = "companion \(UUID())"
    let count = 300_000
    // A thread each: whoever joins waits for the others.
    let results = Locked<[Int: [Float]]>([:])
    let threads = try (0..<2).map { rank in
      try HostThread.start("member") {
        do { try Self.work(library, rank: rank, name, count) { sums in results.withLock { $0[rank] = sums } } } catch {
          Issue.record(error)
        }
      }
    }
    for thread in threads { thread.join() }
    let expected = (0..<count).map { Float($0 % 100) / 4 * 3 }
    #expect(results.withLock { $0[0] == expected && $0[1] == expected })
  }

  /// A member: fills its memory with multiples of its number plus one, and reduces.
  private static func work(
    _ library: SimulatedLibrary, rank: Int, _ name: String, _ count: Int, _ report: ([Float]) -> Void
  ) throws {
    let device = try open(library, index: rank)
    let group = try device.makeCollective(rank: rank, rankCount: 2, rendezvous: name)
    let stream = try device.makeStream(priority: .normal)
    let memory = try device.allocate(byteCount: count * 4)
    let gathered = try device.allocate(byteCount: count * 8)
    let host = try device.allocateHost(byteCount: count * 8)
    for index in 0..<count {
      host.bytes.storeBytes(of: Float(index % 100) / 4 * Float(rank + 1), toByteOffset: index * 4, as: Float.self)
    }
    let whole = CopyPiece(source: host.address, target: memory.address, byteCount: UInt(count * 4))
    try stream.copy(whole, .hostToDevice)
    try group.allGather(source: memory.address, target: gathered.address, byteCount: count * 4, on: stream)
    try group.allReduceSum(address: memory.address, count: count, on: stream)
    let back = CopyPiece(source: memory.address, target: host.address, byteCount: UInt(count * 4))
    try stream.copy(back, .deviceToHost)
    try stream.wait(until: .after(seconds: 60))
    report((0..<count).map { host.bytes.load(fromByteOffset: $0 * 4, as: Float.self) })
    let all = CopyPiece(source: gathered.address, target: host.address, byteCount: UInt(count * 8))
    try stream.copy(all, .deviceToHost)
    try stream.wait(until: .after(seconds: 60))
    let isRight = (0..<2 * count).allSatisfy { index in
      let expected = Float(index % count % 100) / 4 * Float(index / count + 1)
      return host.bytes.load(fromByteOffset: index * 4, as: Float.self) == expected
    }
    if !isRight { throw RoostError(.corrupt, "rank \(rank) gathered other numbers") }
  }

  @Test(arguments: ["ncclGetVersion", "ncclGetUniqueId", "ncclCommInitRank", "ncclAllReduce", "ncclAllGather"])
  func aFunctionOfNCCLThatFailsIsNamed(symbol: String) throws {
    let library = try SimulatedLibrary("fail=\(symbol):1:3")
    var configuration = Self.configuration(library, index: 0)
    configuration.directStorageLibrary = nil
    let device = DrivenDevice(try CUDADriver(configuration))
    var errors = device.driver.refusals.map(\.description)
    do {
      let group = try device.makeCollective(rank: 0, rankCount: 1, rendezvous: "companion \(UUID())")
      let stream = try device.makeStream(priority: .normal)
      let memory = try device.allocate(byteCount: 4096)
      try group.allGather(source: memory.address, target: memory.address, byteCount: 64, on: stream)
      try group.allReduceSum(address: memory.address, count: 16, on: stream)
      try stream.wait(until: .after(seconds: 60))
    } catch {
      errors.append("\(error)")
    }
    #expect(errors.contains { $0.contains(symbol) }, "\(errors)")
    #expect(exercise { device } == [], "the device does not go on")
  }

  @Test(arguments: [
    ("cuFileDriverOpen", 5033), ("cuFileHandleRegister", 5036), ("cuFileRead", 5008), ("cuFileWrite", 5008),
  ])
  func aFunctionOfDirectStorageThatFailsIsNamed(symbol: String, code: Int) throws {
    let library = try SimulatedLibrary("fail=\(symbol):1:\(code)")
    let device = try Self.open(library)
    var errors = device.driver.refusals.map(\.description)
    let memory = try device.allocate(byteCount: 4096)
    let file = FileManager.default.temporaryDirectory.appending(path: "roost-\(UUID())").path
    let descriptor = Foundation.open(file, O_RDWR | O_CREAT, 0o600)
    defer {
      close(descriptor)
      unlink(file)
    }
    do {
      try device.writeFile(descriptor: descriptor, fileOffset: 0, from: memory.address, byteCount: 4096)
      _ = try device.readFile(descriptor: descriptor, fileOffset: 0, into: memory.address, byteCount: 4096)
    } catch {
      errors.append("\(error)")
    }
    #expect(errors.contains { $0.contains(symbol) && $0.contains("\(code)") }, "\(errors)")
    #expect(exercise { device } == [], "the device does not go on")
  }

  @Test func aDriverThatNeverReturnsIsGivenUpAndTheDeviceGoesOn() throws {
    let library = try SimulatedLibrary("hang=cuFileDriverOpen")
    var configuration = Self.configuration(library, index: 0)
    configuration.sideSeconds = 0.05
    let device = DrivenDevice(try CUDADriver(configuration))
    #expect(device.driver.refusals.map(\.code) == [.timedOut])
    #expect(!device.description.capabilities.contains(.directStorage))
    #expect(exercise { device } == [])
    // Lets the thread that was given up end.
    try library.control("hang=")
  }

  @Test func aMemberThatNeverComesIsATimeout() throws {
    let library = try SimulatedLibrary()
    var configuration = Self.configuration(library, index: 0)
    configuration.sideSeconds = 0.05
    let device = DrivenDevice(try CUDADriver(configuration))
    let error = #expect(throws: RoostError.self) {
      try device.makeCollective(rank: 0, rankCount: 2, rendezvous: "companion \(UUID())")
    }
    #expect(error?.code == .timedOut)
  }

  @Test(arguments: ["ncclAllReduce", "cuFileRead"]) func aMissingFunctionSwitchesOffOneCapability(symbol: String) throws
  {
    let library = try SimulatedLibrary(lacking: [symbol])
    let device = try Self.open(library)
    #expect(device.driver.refusals.contains { $0.message.contains(symbol) })
    #expect(device.description.capabilities.contains(.collectives) == (symbol != "ncclAllReduce"))
    #expect(device.description.capabilities.contains(.directStorage) == (symbol != "cuFileRead"))
  }

  private static func configuration(_ library: SimulatedLibrary, index: Int) -> CUDADeviceConfiguration {
    var configuration = CUDADeviceConfiguration(index: index, library: library.path, calibrates: false)
    configuration.collectiveLibrary = library.path
    configuration.directStorageLibrary = library.path
    return configuration
  }

  private static func open(
    _ library: SimulatedLibrary, index: Int = 0
  ) throws(RoostError) -> DrivenDevice<CUDADriver> {
    DrivenDevice(try CUDADriver(configuration(library, index: index)))
  }
}
