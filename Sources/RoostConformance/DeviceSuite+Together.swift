import Glibc
import RoostDevice
import RoostPrimitives

/// Devices with files and with each other.
extension DeviceSuite {
  static let togetherChecks: [Check] = [
    check("files are read and written at any offset, address and size", needs: .directStorage, movesFiles),
    check("a file that ends early is read up to its end", needs: .directStorage, readsToTheEnd),
    check("files that cannot be read or written are refused", needs: .directStorage, refusesBadFiles),
    check("a group of one reduces to itself and gathers itself", needs: .collectives, worksAlone),
    check("a group with impossible numbers is refused", needs: .collectives, refusesBadGroups),
    check("memory is exported as often as one likes and stays what it is", needs: .interProcessMemory, exports),
  ]

  /// A file without a name.
  private static func file() throws(RoostError) -> CInt {
    var name = Array("\(temporaryFolder)/roost-suite-XXXXXX".utf8CString)
    let descriptor = mkstemp(&name)
    guard descriptor >= 0 else { throw .system("mkstemp", errno, "cannot make a file") }
    unlink(name)
    return descriptor
  }

  private static func movesFiles(_ trial: DeviceTrial) throws(RoostError) {
    let descriptor = try file()
    defer { close(descriptor) }
    let room = 64 << 10
    let memory = try trial.deviceMemory(room, seed: 1)
    let expected = try trial.hostBytes(room, seed: 1)
    let seen = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 8)
    defer { seen.deallocate() }
    let shapes = [(0, 0, 8192), (0, 0, room), (4096, 4096, 12_288), (1, 1, 20_000), (3, 100, 10_000), (8191, 0, 4097)]
    for (offset, start, count) in shapes + [(0, 5, 0), (12_345, 512, 1)] {
      try trial.device.writeFile(
        descriptor: descriptor, fileOffset: offset, from: memory.address + UInt(start), byteCount: count)
      let length = pread(descriptor, seen.baseAddress, count, off_t(offset))
      let written = expected.part(start..<start + count)
      trial.expect(length == count, "wrote \(length) of \(count) bytes at \(offset)")
      trial.expect(seen.part(0..<count).equals(written), "wrote other bytes at \(offset)")
      let target = try trial.deviceMemory(room, seed: 2)
      let read = try trial.device.readFile(
        descriptor: descriptor, fileOffset: offset, into: target.address + UInt(start), byteCount: count)
      trial.expect(read == count, "read \(read) of \(count) bytes at \(offset)")
      let contents = try trial.contents(target)
      trial.expect(contents.part(start..<start + count).equals(written), "read other bytes at \(offset)")
      let around = try trial.hostBytes(room, seed: 2)
      trial.expect(contents.part(0..<start).equals(around.part(0..<start)), "wrote before what was read")
      let rest = start + count..<room
      trial.expect(contents.part(rest).equals(around.part(rest)), "wrote behind what was read")
    }
  }

  private static func readsToTheEnd(_ trial: DeviceTrial) throws(RoostError) {
    let descriptor = try file()
    defer { close(descriptor) }
    let bytes = try trial.hostBytes(10_000, seed: 3)
    trial.expect(pwrite(descriptor, bytes.baseAddress, 10_000, 0) == 10_000, "the suite cannot write a file")
    let memory = try trial.deviceMemory(16_384, seed: 4)
    let read = try trial.device.readFile(
      descriptor: descriptor, fileOffset: 0, into: memory.address, byteCount: 16_384)
    trial.expect(read == 10_000, "read \(read) bytes of a file of 10000")
    trial.expect(try trial.contents(memory).part(0..<10_000).equals(bytes), "read other bytes")
    let beyond = try trial.device.readFile(
      descriptor: descriptor, fileOffset: 20_480, into: memory.address, byteCount: 4096)
    trial.expect(beyond == 0, "read \(beyond) bytes behind the end of a file")
  }

  private static func refusesBadFiles(_ trial: DeviceTrial) throws(RoostError) {
    let memory = try trial.deviceMemory(4096, seed: 1)
    let nothing = open("/dev/null", O_RDONLY)
    defer { close(nothing) }
    for (descriptor, offset, count) in [(-1, 0, 4096), (nothing, -1, 4096), (nothing, 0, -1)] as [(CInt, Int, Int)] {
      trial.expectError(.invalidInput, "reading file \(descriptor) at \(offset)") { () throws(RoostError) in
        _ = try trial.device.readFile(
          descriptor: descriptor, fileOffset: offset, into: memory.address, byteCount: count)
      }
    }
    do throws(RoostError) {
      try trial.device.writeFile(descriptor: nothing, fileOffset: 0, from: memory.address, byteCount: 4096)
      trial.findings.add("writes to a file that is open for reading")
    } catch {}
  }

  private static func worksAlone(_ trial: DeviceTrial) throws(RoostError) {
    let group = try trial.device.makeCollective(
      rank: 0, rankCount: 1, rendezvous: "suite \(getpid()) \(UInt64.random(in: 0 ... .max))")
    trial.expect(group.rank == 0 && group.rankCount == 1, "a group of one is not of one")
    let stream = try trial.device.makeStream(priority: .normal)
    let (memory, target) = (try trial.deviceMemory(40_000, seed: 1), try trial.deviceMemory(40_000, seed: 2))
    try group.allGather(source: memory.address, target: target.address, byteCount: 40_000, on: stream)
    try group.allReduceSum(address: memory.address, count: 0, on: stream)
    try stream.wait(until: trial.patience)
    trial.expect(try trial.contents(target).equals(try trial.hostBytes(40_000, seed: 1)), "gathers other bytes")
    let numbers = try trial.hostBytes(4000, seed: 0)
    for index in 0..<1000 { numbers.storeBytes(of: Float(index) / 8, toByteOffset: index * 4, as: Float.self) }
    try stream.copy(CopyPiece(source: numbers.address, target: memory.address, byteCount: 4000), .hostToDevice)
    try group.allReduceSum(address: memory.address, count: 1000, on: stream)
    try stream.wait(until: trial.patience)
    trial.expect(try trial.contents(memory).part(0..<4000).equals(numbers), "reduces to other numbers")
  }

  private static func refusesBadGroups(_ trial: DeviceTrial) {
    for (rank, count) in [(-1, 1), (1, 1), (0, 0), (0, -1)] {
      trial.expectError(.invalidInput, "rank \(rank) of \(count)") { () throws(RoostError) in
        _ = try trial.device.makeCollective(rank: rank, rankCount: count, rendezvous: "suite \(getpid()) bad")
      }
    }
  }

  private static func exports(_ trial: DeviceTrial) throws(RoostError) {
    let memory = try trial.deviceMemory(10_000, seed: 5)
    for _ in 0..<2 {
      let handle = try trial.device.exportMemory(memory)
      trial.expect(handle.byteCount == 10_000 && !handle.bytes.isEmpty, "a handle that says too little")
      if handle.descriptor >= 0 { close(handle.descriptor) }
    }
    trial.expect(
      try trial.contents(memory).equals(try trial.hostBytes(10_000, seed: 5)), "exporting changed the memory")
    trial.expectError(.stale, "exporting what is nobody's") { () throws(RoostError) in
      _ = try trial.device.exportMemory(DeviceMemory(address: 4096, byteCount: 4096))
    }
  }
}
