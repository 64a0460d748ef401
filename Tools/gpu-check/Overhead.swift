import DeviceCUDA
import Glibc
import RoostConsole
import RoostDevice
import RoostPrimitives

/// What the device layer itself costs: calls through it beside the same calls of the driver's functions. Means something on
/// a driver that does nothing: the simulated one with ROOST_SIMULATION=inert=1.
struct Overhead {
  private typealias OnHandle = @convention(c) (UnsafeMutableRawPointer?) -> CInt
  private typealias OnBoth = @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> CInt
  private typealias Wait = @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, CUnsignedInt) -> CInt
  private typealias Copy = @convention(c) (UInt, UInt, Int, UnsafeMutableRawPointer?) -> CInt
  private typealias Retain = @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>, CInt) -> CInt

  /// A call of the driver's and the same through the device.
  private struct Pair {
    let name: String
    let raw: () -> Void
    let ours: () -> Void
  }

  /// Short rounds, and many: the fastest has not been interrupted.
  private static let calls = 20_000
  private static let rounds = 200
  private static let batch = 10_000

  private let library: UnsafeMutableRawPointer
  private let device: DrivenDevice<CUDADriver>
  // As the engine has them: by their protocols.
  private let stream: any DeviceStream
  private let event: any DeviceEvent
  private let memory: DeviceMemory
  private let host: HostMemory

  /// Lines for people.
  static func run(_ options: Options) throws(RoostError) -> String { try Overhead(options).measure() }

  private init(_ options: Options) throws(RoostError) {
    guard let path = options.library, let library = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
      throw RoostError(.invalidInput, "--overhead needs --library PATH of a driver")
    }
    self.library = library
    device = DrivenDevice(try CUDADriver(options.configuration(.batch)))
    stream = try device.makeStream(priority: .normal)
    event = try device.makeEvent()
    memory = try device.allocate(byteCount: 1 << 20)
    host = try device.allocateHost(byteCount: 1 << 20)
    try stream.record(event)
    try stream.wait(until: .after(seconds: 10))
  }

  private func measure() throws(RoostError) -> String {
    let choose: OnHandle = try function("cuCtxSetCurrent")
    let retain: Retain = try function("cuDevicePrimaryCtxRetain")
    var (own, other): (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?)
    _ = retain(&own, 0)
    _ = retain(&other, 1)
    let pairs = try pairs()
    var lines = ""
    for (place, context) in [("its own", own), ("another", other), ("no", nil)] {
      for pair in pairs {
        // In turns, because a processor changes its speed.
        var (raw, ours) = (Double.infinity, Double.infinity)
        for _ in 0..<Self.rounds {
          // The driver's own functions refuse to work without a context.
          _ = choose(context ?? own)
          raw = min(raw, Self.nanoseconds(of: Self.calls, pair.raw))
          _ = choose(context)
          ours = min(ours, Self.nanoseconds(of: Self.calls, pair.ours))
        }
        let name = "\(pair.name), the thread has \(place) context: over the driver's \(NumberText.fixed(raw, 1))"
        lines += line(name, ours - raw)
      }
    }
    _ = choose(own)
    let pieces = (0..<Self.batch).map {
      CopyPiece(source: host.address + UInt($0) * 64, target: memory.address + UInt($0) * 64, byteCount: 64)
    }
    var submit = Double.infinity
    for _ in 0..<Self.rounds {
      // A refusal would show as a failed stream below.
      submit = min(
        submit,
        Self.nanoseconds(of: Self.batch) { pieces.withUnsafeBufferPointer { try? stream.copy($0, .hostToDevice) } })
    }
    try stream.wait(until: .after(seconds: 10))
    return lines + line("submitting a batch of \(Self.batch) copies, each", submit)
  }

  private func pairs() throws(RoostError) -> [Pair] {
    guard let ownEvent = event as? DrivenEvent, let ownStream = stream as? DrivenStream else {
      return []
    }
    let eventHandle = UnsafeMutableRawPointer(bitPattern: ownEvent.handle)
    let streamHandle = UnsafeMutableRawPointer(bitPattern: ownStream.handle)
    let (queryEvent, queryStream): (OnHandle, OnHandle) = (
      try function("cuEventQuery"), try function("cuStreamQuery")
    )
    let (record, wait): (OnBoth, Wait) = (try function("cuEventRecord"), try function("cuStreamWaitEvent"))
    let copy: Copy = try function("cuMemcpyAsync")
    let (event, stream, calls) = (event, stream, Self.calls)
    let piece = CopyPiece(source: host.address, target: memory.address, byteCount: 64)
    // What is refused is slower than what is not, and would show.
    return [
      Pair(
        name: "asking an event", raw: { for _ in 0..<calls { _ = queryEvent(eventHandle) } },
        ours: { for _ in 0..<calls { _ = event.isComplete } }),
      Pair(
        name: "asking a stream", raw: { for _ in 0..<calls { _ = queryStream(streamHandle) } },
        ours: { for _ in 0..<calls { _ = stream.query() } }),
      Pair(
        name: "recording an event", raw: { for _ in 0..<calls { _ = record(eventHandle, streamHandle) } },
        ours: { for _ in 0..<calls { try? stream.record(event) } }),
      Pair(
        name: "waiting for an event", raw: { for _ in 0..<calls { _ = wait(streamHandle, eventHandle, 0) } },
        ours: { for _ in 0..<calls { try? stream.wait(for: event) } }),
      Pair(
        name: "one copy",
        raw: { for _ in 0..<calls { _ = copy(piece.target, piece.source, 64, streamHandle) } },
        ours: { for _ in 0..<calls { try? stream.copy(piece, .hostToDevice) } }),
    ]
  }

  private func function<Function>(_ name: String) throws(RoostError) -> Function {
    guard let address = dlsym(library, name) else { throw RoostError(.invalidInput, "the library lacks \(name)") }
    // The functions' signatures are cuda.h's.
    return unsafeBitCast(address, to: Function.self)
  }

  private func line(_ name: String, _ nanoseconds: Double) -> String {
    "\(name): \(NumberText.fixed(nanoseconds, 1)) ns\n"
  }

  /// Nanoseconds for one of `count` that are made at once.
  private static func nanoseconds(of count: Int, _ body: () -> Void) -> Double {
    let clock = MonotonicClock()
    let start = clock.nanoseconds
    body()
    return Double(clock.nanoseconds - start) / Double(count)
  }
}
