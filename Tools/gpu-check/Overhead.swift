import DeviceCUDA
import Glibc
import RoostConsole
import RoostDevice
import RoostPrimitives

/// What the device layer itself costs: calls through it beside the same calls of the driver's functions. Means something on
/// a driver that does nothing: the simulated one with ROOST_SIMULATION=inert=1.
enum Overhead {
  private typealias Query = @convention(c) (UnsafeMutableRawPointer?) -> CInt
  private typealias Choose = @convention(c) (UnsafeMutableRawPointer?) -> CInt
  private typealias Retain = @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>, CInt) -> CInt

  private static let calls = 1_000_000
  private static let batch = 10_000
  private static let rounds = 7

  /// Lines for people.
  static func run(_ options: Options) throws(RoostError) -> String {
    guard let path = options.library, let library = dlopen(path, RTLD_NOW | RTLD_LOCAL),
      let query = dlsym(library, "cuEventQuery"), let choose = dlsym(library, "cuCtxSetCurrent"),
      let retain = dlsym(library, "cuDevicePrimaryCtxRetain")
    else { throw RoostError(.invalidInput, "--overhead needs --library PATH of a driver") }
    let device = DrivenDevice(try CUDADriver(options.configuration(.batch)))
    let stream = try device.makeStream(priority: .normal)
    guard let event = try device.makeEvent() as? DrivenEvent<CUDADriver> else { return "" }
    try stream.record(event)
    try stream.wait(until: .after(seconds: 10))
    var context: UnsafeMutableRawPointer?
    // The functions' signatures are cuda.h's.
    _ = unsafeBitCast(retain, to: Retain.self)(&context, 0)
    _ = unsafeBitCast(choose, to: Choose.self)(context)
    let ask = unsafeBitCast(query, to: Query.self)
    let handle = UnsafeMutableRawPointer(bitPattern: event.handle)
    let raw = best(calls) { for _ in 0..<calls { _ = ask(handle) } }
    let ours = best(calls) { for _ in 0..<calls { _ = event.isComplete } }
    _ = unsafeBitCast(choose, to: Choose.self)(nil)
    let elsewhere = best(calls) { for _ in 0..<calls { _ = event.isComplete } }
    let memory = try device.allocate(byteCount: 1 << 20)
    let host = try device.allocateHost(byteCount: 1 << 20)
    let pieces = (0..<batch).map {
      CopyPiece(source: host.address + UInt($0) * 64, target: memory.address + UInt($0) * 64, byteCount: 64)
    }
    let submit = best(batch) {
      // A refusal would show as a failed stream below.
      pieces.withUnsafeBufferPointer { try? stream.copy($0, .hostToDevice) }
    }
    try stream.wait(until: .after(seconds: 10))
    func line(_ name: String, _ nanoseconds: Double) -> String { "\(name): \(NumberText.fixed(nanoseconds, 1)) ns\n" }
    return line("the driver's own call", raw) + line("the same through the device, over that", ours - raw)
      + line("the same on a thread with another context, over that", elsewhere - raw)
      + line("submitting a batch of \(batch) copies, each", submit)
  }

  /// Nanoseconds for one of `count` in the fastest round.
  private static func best(_ count: Int, _ body: () -> Void) -> Double {
    let clock = MonotonicClock()
    var best = UInt64.max
    for _ in 0..<rounds {
      let start = clock.nanoseconds
      body()
      best = min(best, clock.nanoseconds - start)
    }
    return Double(best) / Double(count)
  }
}
