import Glibc
import RoostDevice
import RoostPrimitives
import Synchronization

extension DeviceSuite {
  static let capabilityChecks: [Check] = [
    check("says which capability is missing", namesMissing),
    check("the host reads and writes device memory", needs: .hostAddressable, isAddressable),
    check("host functions are called in their order and after the copies before them", needs: .hostCallbacks, calls),
    check("host functions are refused without the capability", lacks: .hostCallbacks, refusesCalls),
    check("rows are refused without the capability", lacks: .stridedCopy, refusesRows),
    check("host memory is registered once and copied like any other", needs: .hostRegistration, registers),
    check("host memory is not registered without the capability", lacks: .hostRegistration, refusesRegistration),
    check("memory is not shared between processes without the capability", lacks: .interProcessMemory, refusesSharing),
    check("files are not read and written without the capability", lacks: .directStorage, refusesFiles),
    check("collectives are refused without the capability", lacks: .collectives, refusesCollectives),
  ]

  private static func namesMissing(_ trial: DeviceTrial) {
    for (capability, name) in Capabilities.names {
      if trial.capabilities.contains(capability) {
        do throws(RoostError) {
          try trial.device.require(capability)
        } catch {
          trial.findings.add("asks for \(name), which it offers")
        }
        continue
      }
      do throws(RoostError) {
        try trial.device.require(capability)
        trial.findings.add("does not miss \(name)")
      } catch {
        trial.expect(error.code == .unsupported && error.message.contains(name), "does not name \(name): \(error)")
      }
    }
  }

  private static func isAddressable(_ trial: DeviceTrial) throws(RoostError) {
    let memory = try trial.deviceMemory(5000, seed: 1)
    let expected = try trial.hostBytes(5000, seed: 1)
    let seen = HostMemory(address: memory.address, byteCount: memory.byteCount).bytes
    trial.expect(seen.equals(expected), "the host does not see what was copied to the device")
    DeviceTrial.fill(seen, seed: 2)
    let written = try trial.hostBytes(5000, seed: 2)
    trial.expect(try trial.contents(memory).equals(written), "the device does not see what the host wrote")
  }

  private static func calls(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let source = try trial.hostBytes(40_000, seed: 1)
    let result = try trial.hostBytes(40_000, seed: 2)
    let memory = try trial.deviceMemory(40_000)
    let order = CallOrder()
    try stream.copy(CopyPiece(source: source.address, target: memory.address, byteCount: 40_000), .hostToDevice)
    try stream.copy(CopyPiece(source: memory.address, target: result.address, byteCount: 40_000), .deviceToHost)
    let (sourceAddress, resultAddress) = (source.address, result.address)
    try stream.enqueue {
      let isThere = HostMemory(address: sourceAddress, byteCount: 40_000).bytes
        .equals(HostMemory(address: resultAddress, byteCount: 40_000).bytes)
      order.add(isThere ? 0 : -1)
    }
    for number in 1..<200 { try stream.enqueue { order.add(number) } }
    try stream.wait(until: trial.patience)
    trial.expect(order.numbers.first == 0, "a host function was called before the copies before it had ended")
    trial.expect(Array(order.numbers.dropFirst()) == Array(1..<200), "host functions were called out of order")
  }

  private static func refusesCalls(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    trial.expectError(.unsupported, "a host function") { () throws(RoostError) in try stream.enqueue {} }
  }

  private static func refusesRows(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let memory = try trial.deviceMemory(64)
    let bytes = try trial.hostBytes(64, seed: 1)
    trial.expectError(.unsupported, "copying rows") { () throws(RoostError) in
      try stream.copy(
        StridedCopy(
          source: memory.address, target: bytes.address, rowByteCount: 8, rowCount: 2, sourcePitch: 8, targetPitch: 8),
        .deviceToHost)
    }
    try stream.wait(until: trial.patience)
  }

  private static func registers(_ trial: DeviceTrial) throws(RoostError) {
    let device = trial.device
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 3 * 4096, alignment: 4096)
    defer { bytes.deallocate() }
    DeviceTrial.fill(bytes, seed: 1)
    let range = HostMemory(address: bytes.address, byteCount: bytes.count)
    try device.registerHost(range)
    trial.expectError(.busy, "registering twice") { () throws(RoostError) in try device.registerHost(range) }
    let memory = try trial.deviceMemory(bytes.count)
    let stream = try device.makeStream(priority: .normal)
    let count = UInt(bytes.count)
    try stream.copy(CopyPiece(source: bytes.address, target: memory.address, byteCount: count), .hostToDevice)
    try stream.wait(until: trial.patience)
    trial.expect(try trial.contents(memory).equals(bytes), "registered memory was copied wrong")
    try device.unregisterHost(range)
    trial.expectError(.stale, "unregistering twice") { () throws(RoostError) in try device.unregisterHost(range) }
    try device.registerHost(range)
    try device.unregisterHost(range)
    for (address, byteCount) in [(0, 4096), (range.address, 0), (range.address, -1), (.max - 10, 4096)] as [(UInt, Int)]
    {
      trial.expectError(.invalidInput, "registering \(byteCount) bytes at \(address)") { () throws(RoostError) in
        try device.registerHost(HostMemory(address: address, byteCount: byteCount))
      }
    }
  }

  private static func refusesRegistration(_ trial: DeviceTrial) throws(RoostError) {
    let bytes = try trial.hostBytes(4096, seed: 1)
    let range = HostMemory(address: bytes.address, byteCount: 4096)
    trial.expectError(.unsupported, "registering") { () throws(RoostError) in try trial.device.registerHost(range) }
    trial.expectError(.unsupported, "unregistering") { () throws(RoostError) in try trial.device.unregisterHost(range) }
  }

  private static func refusesSharing(_ trial: DeviceTrial) throws(RoostError) {
    let memory = try trial.deviceMemory(4096)
    trial.expectError(.unsupported, "exporting") { () throws(RoostError) in
      _ = try trial.device.exportMemory(memory)
    }
    trial.expectError(.unsupported, "importing") { () throws(RoostError) in
      _ = try trial.device.importMemory(SharedMemoryHandle(bytes: [], descriptor: -1, byteCount: 4096))
    }
  }

  private static func refusesFiles(_ trial: DeviceTrial) throws(RoostError) {
    let memory = try trial.deviceMemory(4096)
    trial.expectError(.unsupported, "reading a file") { () throws(RoostError) in
      _ = try trial.device.readFile(descriptor: -1, fileOffset: 0, into: memory.address, byteCount: 4096)
    }
    trial.expectError(.unsupported, "writing a file") { () throws(RoostError) in
      try trial.device.writeFile(descriptor: -1, fileOffset: 0, from: memory.address, byteCount: 4096)
    }
  }

  private static func refusesCollectives(_ trial: DeviceTrial) {
    trial.expectError(.unsupported, "making a collective") { () throws(RoostError) in
      _ = try trial.device.makeCollective(rank: 0, rankCount: 1, rendezvous: "")
    }
  }
}

/// Notes numbers from any thread, in their order.
final class CallOrder: Sendable {
  private let list = Locked<[Int]>([])
  var numbers: [Int] { list.withLock { $0 } }
  func add(_ number: Int) { list.withLock { $0.append(number) } }
}
