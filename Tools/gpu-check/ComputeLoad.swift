import DeviceCUDA
import Glibc
import RoostDevice
import RoostPrimitives

/// A kernel of ours that computes and copies nothing, on every multiprocessor: what copies are measured beside. It calls the
/// driver itself, as the model beside Roost does, and knows nothing of Roost's streams.
final class ComputeLoad {
  /// PTX for every device since Volta: each thread multiplies for so many turns.
  static let text = """
    // roost_spin.ptx - every thread multiplies for so many turns (own work).
    .version 7.0
    .target sm_70
    .address_size 64

    .visible .entry roost_spin(
        .param .u64 p_out,
        .param .u32 p_turns
    )
    {
        .reg .pred  %p<2>;
        .reg .b32   %r<4>;
        .reg .b64   %d<2>;

        ld.param.u64 %d0, [p_out];
        ld.param.u32 %r0, [p_turns];
        mov.u32 %r1, %tid.x;
        mov.u32 %r2, 0;
    LOOP:
        setp.ge.u32 %p0, %r2, %r0;
        @%p0 bra DONE;
        mul.lo.u32 %r1, %r1, %r1;
        add.u32 %r1, %r1, 1;
        add.u32 %r2, %r2, 1;
        bra LOOP;
    DONE:
        st.global.u32 [%d0], %r1;
        ret;
    }
    """

  private typealias Pointer = UnsafeMutableRawPointer
  private typealias OnNothing = @convention(c) (Pointer?) -> CInt
  private typealias Making = @convention(c) (UnsafeMutablePointer<Pointer?>, CInt) -> CInt
  private typealias Popping = @convention(c) (UnsafeMutablePointer<Pointer?>) -> CInt
  private typealias Loading = @convention(c) (UnsafeMutablePointer<Pointer?>, UnsafePointer<CChar>) -> CInt
  private typealias Naming = @convention(c) (UnsafeMutablePointer<Pointer?>, Pointer?, UnsafePointer<CChar>) -> CInt
  private typealias Streaming = @convention(c) (UnsafeMutablePointer<Pointer?>, CUnsignedInt, CInt) -> CInt
  private typealias Launching =
    @convention(c) (
      Pointer?, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt,
      Pointer?, UnsafeMutablePointer<Pointer?>?, UnsafeMutablePointer<Pointer?>?
    ) -> CInt

  private static let blocks: CUnsignedInt = 264
  private static let threads: CUnsignedInt = 256
  private static let firstTurns: UInt32 = 1 << 18
  private static let turnsMax: UInt32 = 1 << 30
  /// How long one launch should take, and how much is launched ahead.
  private static let launchSeconds = 0.02
  private static let aheadSeconds = 0.3
  private static let launchesMax = 256

  private let library: UnsafeMutableRawPointer
  private let device: DrivenDevice<CUDADriver>
  private let output: DeviceMemory
  private var context: Pointer?
  private var module: Pointer?
  private var function: Pointer?
  private var stream: Pointer?
  private var turns = ComputeLoad.firstTurns
  private var secondsOfOne = ComputeLoad.launchSeconds
  /// Whether copies were ever measured beside nothing, because all was computed.
  private(set) var ranOut = false

  init(_ options: Options) throws(RoostError) {
    guard let library = dlopen(options.library ?? "libcuda.so.1", RTLD_NOW | RTLD_LOCAL) else {
      throw RoostError(.notFound, "the driver's library cannot be opened")
    }
    self.library = library
    device = DrivenDevice(try CUDADriver(options.configuration(.loop)))
    output = try device.allocate(byteCount: 4096)
    try check("cuDevicePrimaryCtxRetain", call("cuDevicePrimaryCtxRetain", Making.self)(&context, CInt(options.index)))
    try inside { () throws(RoostError) in
      try check("cuModuleLoadData", call("cuModuleLoadData", Loading.self)(&module, Self.text))
      try check("cuModuleGetFunction", call("cuModuleGetFunction", Naming.self)(&function, module, "roost_spin"))
      try check(
        "cuStreamCreateWithPriority", call("cuStreamCreateWithPriority", Streaming.self)(&stream, 1, 0))
    }
    try tune()
  }

  /// Ends what was launched.
  func close() throws(RoostError) {
    try wait()
    try inside { () throws(RoostError) in
      try check("cuStreamDestroy_v2", call("cuStreamDestroy_v2", OnNothing.self)(stream))
      try check("cuModuleUnload", call("cuModuleUnload", OnNothing.self)(module))
    }
    try device.free(output)
  }

  /// Sees to it that the device computes for some tenths of a second from now on.
  func keepBusy() throws(RoostError) {
    try wait()
    let count = min(Self.launchesMax, max(1, Int(Self.aheadSeconds / secondsOfOne)))
    try inside { () throws(RoostError) in
      for _ in 0..<count { try launch() }
    }
  }

  /// To be called after what was measured: whether it was beside the kernel to its end.
  func noteEnd() throws(RoostError) {
    if try isIdle() { ranOut = true }
  }

  private func wait() throws(RoostError) {
    while try !isIdle() { usleep(100) }
  }

  private func isIdle() throws(RoostError) -> Bool {
    var result: CInt = 0
    try inside { () throws(RoostError) in result = try call("cuStreamQuery", OnNothing.self)(stream) }
    let notReady: CInt = 600
    if result != 0, result != notReady { try check("cuStreamQuery", result) }
    return result == 0
  }

  /// Finds how many turns take the wanted time.
  private func tune() throws(RoostError) {
    let clock = MonotonicClock()
    for _ in 0..<2 {
      let start = clock.nanoseconds
      try inside { () throws(RoostError) in try launch() }
      try wait()
      secondsOfOne = max(1e-6, Double(clock.nanoseconds - start) / 1e9)
      let wanted = Double(turns) * Self.launchSeconds / secondsOfOne
      turns = UInt32(min(Double(Self.turnsMax), max(1, wanted)))
    }
    secondsOfOne = Self.launchSeconds
  }

  private func launch() throws(RoostError) {
    var (address, count) = (UInt64(output.address), turns)
    let result = try withUnsafeMutablePointer(to: &address) { first throws(RoostError) -> CInt in
      try withUnsafeMutablePointer(to: &count) { second throws(RoostError) -> CInt in
        var parameters: [Pointer?] = [Pointer(first), Pointer(second)]
        return try call("cuLaunchKernel", Launching.self)(
          function, Self.blocks, 1, 1, Self.threads, 1, 1, 0, stream, &parameters, nil)
      }
    }
    try check("cuLaunchKernel", result)
  }

  /// With the device's context chosen for this thread.
  private func inside(_ body: () throws(RoostError) -> Void) throws(RoostError) {
    try check("cuCtxPushCurrent_v2", call("cuCtxPushCurrent_v2", OnNothing.self)(context))
    defer {
      var former: Pointer?
      _ = try? call("cuCtxPopCurrent_v2", Popping.self)(&former)
    }
    try body()
  }

  private func call<Function>(_ name: String, _ type: Function.Type) throws(RoostError) -> Function {
    guard let address = dlsym(library, name) else { throw RoostError(.notFound, "the driver has no \(name)") }
    // The functions' signatures are cuda.h's.
    return unsafeBitCast(address, to: type)
  }

  private func check(_ name: String, _ result: CInt) throws(RoostError) {
    guard result == 0 else { throw RoostError(.system, "\(name) failed with \(result)") }
  }
}
