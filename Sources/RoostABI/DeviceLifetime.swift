import CRoostABI
import RoostBuiltins
import RoostDevice
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_device_open(
  _ uri: UnsafePointer<CChar>?, _ outDevice: UnsafeMutablePointer<roost_device>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outDevice = try Arguments.required(outDevice, "out_device")
    let device = OpenDevice(try Builtins.devices().open(try Arguments.text(uri, "uri")))
    outDevice.pointee = try HandleTable.shared.add(device, .device)
  }
}

/// See roost.h.
@c @implementation public func roost_device_mock(
  _ config: roost_text, _ outDevice: UnsafeMutablePointer<roost_device>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outDevice = try Arguments.required(outDevice, "out_device")
    outDevice.pointee = try HandleTable.shared.add(OpenDevice(try DeviceText.mock(config)), .device)
  }
}

/// See roost.h.
@c @implementation public func roost_device_close(_ handle: roost_device) -> roost_status {
  Failure.caught { () throws(RoostError) in _ = try HandleTable.shared.remove(handle, .device) }
}

/// See roost.h.
@c @implementation public func roost_device_memory(
  _ handle: roost_device, _ outMemory: UnsafeMutablePointer<roost_memory>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let target: Arguments.OutArray<roost_memory> = try Arguments.outArray(outMemory, capacity: 1, "out_memory")
    let device = try HandleTable.shared.device(handle)
    let usage = device.usage
    target.write(
      roost_memory(
        struct_bytes: 0, memory_bytes: UInt64(clamping: device.device.description.memoryBytes),
        free_bytes: UInt64(clamping: device.device.freeMemoryBytes), block_count: UInt64(usage.blockCount),
        block_bytes: UInt64(usage.byteCount)), at: 0)
  }
}

/// See roost.h.
@c @implementation public func roost_device_wait(_ handle: roost_device, _ timeout: Double) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let device = try HandleTable.shared.device(handle)
    defer { device.release() }
    try device.device.synchronize(until: Arguments.deadline(timeout))
  }
}

/// See roost.h.
@c @implementation public func roost_device_allocate(
  _ handle: roost_device, _ byteCount: UInt64, _ outBlocks: UnsafeMutablePointer<roost_block>?, _ count: Int
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let device = try HandleTable.shared.device(handle)
    guard 0...Limits.answerCountMax ~= count else {
      throw Arguments.tooMany("out_blocks", count, Limits.answerCountMax)
    }
    guard count > 0 else { return }
    let outBlocks = try Arguments.required(outBlocks, "out_blocks")
    guard let byteCount = Int(exactly: byteCount), byteCount > 0 else {
      throw RoostError(.invalidInput, "a block of \(byteCount) bytes cannot be")
    }
    device.release()
    // All or none: blocks that nobody holds in the end free themselves.
    var blocks: [DeviceBlock] = []
    for _ in 0..<count { blocks.append(try DeviceBlock(of: device, byteCount: byteCount)) }
    var handles: [UInt64] = []
    do throws(RoostError) {
      for block in blocks { handles.append(try HandleTable.shared.add(block, .block)) }
    } catch {
      for handle in handles { _ = try HandleTable.shared.remove(handle, .block) }
      throw error
    }
    outBlocks.update(from: handles, count: count)
  }
}
