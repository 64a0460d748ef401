import DeviceCPU
import DeviceCUDA
import Glibc
import RoostDevice
import RoostPrimitives

/// The other process of the tests about memory that two processes share: `DeviceProbe LIBRARY BYTES SEED` fills device
/// memory from a seed, prints its handle in hexadecimal, and for every line on standard input says whether the memory
/// holds the bytes of the next seed. `DeviceProbe memory BYTES SEED` does the same with the processor's memory, and prints
/// its process, the descriptor and the handle. `DeviceProbe group NAME RANK COUNT` is a member of a group: for every line
/// with a number it reduces and gathers that many numbers, and says whether the results are right.
@main struct DeviceProbe {
  static func main() throws {
    let arguments = CommandLine.arguments
    if arguments.count == 4, arguments[1] == "memory" { return try shareMemory(arguments) }
    if arguments.count == 5, arguments[1] == "group" { return try work(arguments) }
    guard arguments.count == 4, let byteCount = Int(arguments[2]), var seed = UInt64(arguments[3]) else { exit(2) }
    let device = DrivenDevice(try CUDADriver(CUDADeviceConfiguration(library: arguments[1], calibrates: false)))
    let memory = try device.allocate(byteCount: byteCount)
    let host = try device.allocateHost(byteCount: byteCount)
    let stream = try device.makeStream(priority: .normal)
    let count = UInt(byteCount)
    fill(host.bytes, seed: seed)
    try stream.copy(CopyPiece(source: host.address, target: memory.address, byteCount: count), .hostToDevice)
    try stream.wait(until: .after(seconds: 30))
    say(hexadecimal(try device.exportMemory(memory).bytes))
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

  private static func shareMemory(_ arguments: [String]) throws {
    guard let byteCount = Int(arguments[2]), var seed = UInt64(arguments[3]) else { exit(2) }
    let device = try CPUDevice()
    let memory = try device.allocate(byteCount: byteCount)
    let bytes = HostMemory(address: memory.address, byteCount: byteCount).bytes
    fill(bytes, seed: seed)
    let handle = try device.exportMemory(memory)
    say("\(getpid()) \(handle.descriptor) \(hexadecimal(handle.bytes))")
    while readLine() != nil {
      seed += 1
      let expected = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 8)
      defer { expected.deallocate() }
      fill(expected, seed: seed)
      say(bytes.elementsEqual(expected) ? "same" : "different")
    }
  }

  private static func work(_ arguments: [String]) throws {
    guard let rank = Int(arguments[3]), let memberCount = Int(arguments[4]) else { exit(2) }
    let group = try ProcessGroup(rank: rank, rankCount: memberCount, rendezvous: arguments[2], seconds: 60)
    while let count = readLine().flatMap({ Int($0) }) {
      let numbers = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(count, 1))
      let gathered = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(count, 1) * memberCount)
      defer {
        numbers.deallocate()
        gathered.deallocate()
      }
      for index in 0..<count { numbers[index] = number(index, of: rank) }
      let (source, target) = (UInt(bitPattern: numbers.baseAddress), UInt(bitPattern: gathered.baseAddress))
      try group.allGather(source: source, target: target, byteCount: count * 4)
      try group.allReduceSum(address: source, count: count)
      let isRight = (0..<count).allSatisfy { index in
        let all = (0..<memberCount).map { number(index, of: $0) }
        return numbers[index] == all.reduce(0, +)
          && (0..<memberCount).allSatisfy { gathered[$0 * count + index] == all[$0] }
      }
      say(isRight ? "right" : "wrong")
    }
  }

  /// As in CollectiveTests.
  private static func number(_ index: Int, of rank: Int) -> Float { Float((index * 7 + rank * 13) % 1000) / 8 }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
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
