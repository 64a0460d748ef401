import DeviceCUDA
import RoostDevice
import RoostPrimitives
import Testing

/// Calls from threads that have another context, none, or one that is lost: the threads are somebody else's.
@Suite struct CUDAContextTests {
  @Test func noQuestionIsAskedWhereAStreamOrAnEventSaysWhereItBelongs() throws {
    let bench = try Bench()
    try bench.library.choose(0)
    try bench.library.control("fail=cuCtxGetCurrent:1000000:304")
    try bench.copyThere()
    try bench.stream.record(bench.event)
    try bench.stream.wait(for: bench.event)
    try bench.event.wait(until: .after(seconds: 20))
    if case .failed(let error) = bench.stream.query() { Issue.record("\(error)") }
    #expect(try bench.library.callCount(of: "cuCtxGetCurrent") == 0)
    // What there is one of for each context is asked for.
    #expect(bench.device.freeMemoryBytes > 0)
    #expect(try bench.library.callCount(of: "cuCtxGetCurrent") == 1)
  }

  @Test(arguments: [-1, 0, 1]) func aThreadsContextChangesNothingAndStays(chosen: Int) throws {
    let bench = try Bench()
    try bench.library.choose(chosen)
    try bench.expectEverythingWorks()
    #expect(try bench.library.currentDevice() == chosen)
  }

  @Test func anotherDeviceThatIsLostLosesOnlyItself() throws {
    let bench = try Bench()
    let other = try Bench.open(bench.library, index: 1)
    let stream = try other.makeStream(priority: .normal)
    try bench.library.control("lost=0:719")
    try stream.record(try other.makeEvent())
    let error = #expect(throws: RoostError.self) { try stream.wait(until: .after(seconds: 20)) }
    #expect(error?.code == .lost)
    try bench.library.control("lost=-1:719")
    // The simulated driver is strict: in a lost context it refuses everything, whatever it is about.
    try bench.library.choose(1)
    try bench.expectEverythingWorks()
    #expect(try bench.library.currentDevice() == 1)
  }

  @Test func theDefaultStreamIsTheDevicesAndNotTheThreads() throws {
    let bench = try Bench()
    try bench.library.choose(1)
    try bench.library.control("fail=cuEventRecord:1000000:304")
    // The simulated driver has no default stream and refuses; it was called once, in the device's context.
    #expect(throws: RoostError.self) { try bench.device.mark(ofForeignStream: 0) }
    #expect(try bench.library.callCount(of: "cuEventRecord") == 1)
    #expect(try bench.library.currentDevice() == 1)
  }
}

/// The first device with what a copy needs.
private struct Bench {
  let library: SimulatedLibrary
  let device: DrivenDevice<CUDADriver>
  let stream: any DeviceStream
  let event: any DeviceEvent
  private let memory: DeviceMemory
  private let there: HostMemory
  private let back: HostMemory
  private static let byteCount = 8192

  init() throws {
    library = try SimulatedLibrary()
    device = try Self.open(library, index: 0)
    stream = try device.makeStream(priority: .normal)
    event = try device.makeEvent()
    memory = try device.allocate(byteCount: Self.byteCount)
    there = try device.allocateHost(byteCount: Self.byteCount)
    back = try device.allocateHost(byteCount: Self.byteCount)
  }

  static func open(_ library: SimulatedLibrary, index: Int) throws(RoostError) -> DrivenDevice<CUDADriver> {
    DrivenDevice(try CUDADriver(CUDADeviceConfiguration(index: index, library: library.path, calibrates: false)))
  }

  func copyThere() throws {
    let count = UInt(Self.byteCount)
    try stream.copy(CopyPiece(source: there.address, target: memory.address, byteCount: count), .hostToDevice)
  }

  /// Bytes go to the device and come back, behind an event, and both ways of asking say so.
  func expectEverythingWorks() throws {
    for index in 0..<Self.byteCount { there.bytes[index] = UInt8(truncatingIfNeeded: index &* 31 &+ 7) }
    let second = try device.makeStream(priority: .high)
    try copyThere()
    try stream.record(event)
    try second.wait(for: event)
    let count = UInt(Self.byteCount)
    try second.copy(CopyPiece(source: memory.address, target: back.address, byteCount: count), .deviceToHost)
    let end = try device.makeEvent()
    try second.record(end)
    try end.wait(until: .after(seconds: 20))
    try second.wait(until: .after(seconds: 20))
    #expect(event.isComplete && end.isComplete)
    if case .failed(let error) = second.query() { Issue.record("\(error)") }
    #expect(back.bytes.elementsEqual(there.bytes))
  }
}
