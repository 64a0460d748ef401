import DeviceCUDA
import Glibc
import RoostDevice
import RoostPrimitives

/// The other process of the tests about memory that two processes share: `DeviceProbe LIBRARY BYTES SEED` fills device
/// memory from a seed, prints its handle in hexadecimal, and for every line on standard input says whether the memory
/// holds the bytes of the next seed.
@main struct DeviceProbe {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 4, let byteCount = Int(arguments[2]), var seed = UInt64(arguments[3]) else { exit(2) }
    let device = DrivenDevice(try CUDADriver(CUDADeviceConfiguration(library: arguments[1], calibrates: false)))
    let memory = try device.allocate(byteCount: byteCount)
    let host = try device.allocateHost(byteCount: byteCount)
    let stream = try device.makeStream(priority: .normal)
    let count = UInt(byteCount)
    fill(host.bytes, seed: seed)
    try stream.copy(CopyPiece(source: host.address, target: memory.address, byteCount: count), .hostToDevice)
    try stream.wait(until: .after(seconds: 30))
    say(try device.exportMemory(memory).bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
    while readLine() != nil {
      try stream.copy(CopyPiece(source: memory.address, target: host.address, byteCount: count), .deviceToHost)
      try stream.wait(until: .after(seconds: 30))
      seed += 1
      let expected = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 8)
      defer { expected.deallocate() }
      fill(expected, seed: seed)
      say(host.bytes.elementsEqual(expected) ? "same" : "different")
    }
    try device.free(memory)
    try device.freeHost(host)
  }

  private static func say(_ line: String) {
    print(line)
    fflush(nil)
  }

  private static func fill(_ bytes: UnsafeMutableRawBufferPointer, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
  }
}
