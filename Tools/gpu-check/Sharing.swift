import DeviceCUDA
import Glibc
import RoostConsole
import RoostDevice
import RoostPrimitives

/// Device memory that two processes share: this one and a second run of this program.
struct Sharing {
  /// What went wrong; empty if nothing did.
  private(set) var failures: [String] = []
  /// Whether the device offers it.
  private(set) var isOffered = true

  private static let byteCount = 1 << 20
  private static let patienceSeconds = 60.0
  /// The child's first argument; not for people.
  static let childArgument = "--ipc-child"

  /// Another process reads what this one wrote, and writes; then one that is killed while it has the memory open.
  static func check(_ options: Options) throws(RoostError) -> Sharing {
    var sharing = Sharing()
    let device = DrivenDevice(try CUDADriver(options.configuration(.loop)))
    guard device.description.capabilities.contains(.interProcessMemory) else {
      sharing.isOffered = false
      return sharing
    }
    let memory = try device.allocate(byteCount: byteCount)
    defer { try? device.free(memory) }
    try SharedPattern.write(options.seed, memory, on: device)
    let handle = hexadecimal(try device.exportMemory(memory).bytes)
    let status = try runChild(options, handle, "write")
    if status != 0 { sharing.failures.append("the other process ended with \(status): it saw other bytes, or failed") }
    if try SharedPattern.wrongBytes(options.seed &+ 1, memory, on: device) != 0 {
      sharing.failures.append("what the other process wrote is not here")
    }
    let killed = try runChild(options, handle, "die")
    if killed != -SIGKILL { sharing.failures.append("the process that was to be killed ended with \(killed)") }
    if try SharedPattern.wrongBytes(options.seed &+ 1, memory, on: device) != 0 {
      sharing.failures.append("the memory changed when the other process was killed")
    }
    return sharing
  }

  /// The other process: opens the memory, compares, writes the next pattern, or is killed.
  static func child(_ options: Options, handle text: String, then action: String) throws(RoostError) -> Bool {
    let device = DrivenDevice(try CUDADriver(options.configuration(.loop)))
    let handle = SharedMemoryHandle(bytes: bytes(text), descriptor: -1, byteCount: byteCount)
    let memory = try device.importMemory(handle)
    defer { try? device.free(memory) }
    if action == "die" { kill(getpid(), SIGKILL) }
    guard try SharedPattern.wrongBytes(options.seed, memory, on: device) == 0 else { return false }
    try SharedPattern.write(options.seed &+ 1, memory, on: device)
    return true
  }

  /// The other process's exit status; the signal that killed it, negative.
  private static func runChild(_ options: Options, _ handle: String, _ action: String) throws(RoostError) -> CInt {
    var words = ["gpu-check", "--device", "\(options.index)", "--seed", "\(options.seed)"]
    if let library = options.library { words += ["--library", library] }
    words += [childArgument, handle, action]
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var process: pid_t = 0
    let result = posix_spawn(&process, "/proc/self/exe", nil, nil, &arguments, environ)
    guard result == 0 else { throw RoostError(.system, "the other process cannot be started: error \(result)") }
    let deadline = Deadline.after(seconds: patienceSeconds)
    var status: CInt = 0
    while waitpid(process, &status, WNOHANG) == 0 {
      if deadline.hasPassed() {
        kill(process, SIGKILL)
        waitpid(process, &status, 0)
        throw RoostError(.timedOut, "the other process did not end within \(patienceSeconds) s")
      }
      usleep(1000)
    }
    return status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private static func bytes(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
  }
}

/// Bytes that follow from a seed, in device memory.
enum SharedPattern {
  static func write(_ seed: UInt64, _ memory: DeviceMemory, on device: DrivenDevice<CUDADriver>) throws(RoostError) {
    let host = try device.allocateHost(byteCount: memory.byteCount)
    defer { try? device.freeHost(host) }
    fill(host, seed)
    let stream = try device.makeStream(priority: .normal)
    let piece = CopyPiece(source: host.address, target: memory.address, byteCount: UInt(memory.byteCount))
    try stream.copy(piece, .hostToDevice)
    try stream.wait(until: .after(seconds: 60))
  }

  static func wrongBytes(
    _ seed: UInt64, _ memory: DeviceMemory, on device: DrivenDevice<CUDADriver>
  ) throws(RoostError) -> Int {
    let host = try device.allocateHost(byteCount: memory.byteCount)
    let wanted = try device.allocateHost(byteCount: memory.byteCount)
    defer {
      try? device.freeHost(host)
      try? device.freeHost(wanted)
    }
    fill(wanted, seed)
    let stream = try device.makeStream(priority: .normal)
    let piece = CopyPiece(source: memory.address, target: host.address, byteCount: UInt(memory.byteCount))
    try stream.copy(piece, .deviceToHost)
    try stream.wait(until: .after(seconds: 60))
    return zip(host.bytes, wanted.bytes).count { $0 != $1 }
  }

  private static func fill(_ memory: HostMemory, _ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let words = memory.bytes.bindMemory(to: UInt64.self)
    for index in words.indices { words[index] = random.next() }
  }
}
