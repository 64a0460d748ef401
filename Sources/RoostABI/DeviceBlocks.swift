import CRoostABI
import RoostDevice
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_block_free(
  _ handles: UnsafePointer<roost_block>?, _ count: Int
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    guard 0...Limits.handleCountMax ~= count else { throw Arguments.tooMany("blocks", count, Limits.handleCountMax) }
    guard count > 0 else { return }
    let handles = try Arguments.required(handles, "blocks")
    for index in 0..<count { _ = try HandleTable.shared.block(handles[index]) }
    for index in 0..<count {
      // The kind is part of the handle and was checked.
      let block = unsafeDowncast(try HandleTable.shared.remove(handles[index], .block), to: DeviceBlock.self)
      block.owner.release()
    }
  }
}

/// See roost.h.
@c @implementation public func roost_block_place(
  _ handle: roost_block, _ outAddress: UnsafeMutablePointer<UInt64>?, _ outBytes: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outAddress = try Arguments.required(outAddress, "out_address")
    let outBytes = try Arguments.required(outBytes, "out_bytes")
    let memory = try HandleTable.shared.block(handle).memory
    outAddress.pointee = UInt64(memory.address)
    outBytes.pointee = UInt64(memory.byteCount)
  }
}

/// See roost.h.
@c @implementation public func roost_block_migrate(
  _ handle: roost_block, _ device: roost_device, _ timeout: Double, _ outBlock: UnsafeMutablePointer<roost_block>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outBlock = try Arguments.required(outBlock, "out_block")
    let block = try HandleTable.shared.block(handle)
    let device = try HandleTable.shared.device(device)
    guard block.owner !== device else {
      outBlock.pointee = handle
      return
    }
    let moved = try Migration(of: block, to: device).run(until: Arguments.deadline(timeout))
    let new = try HandleTable.shared.add(moved, .block)
    do throws(RoostError) {
      _ = try HandleTable.shared.remove(handle, .block)
    } catch {
      // Somebody else has freed it, or moved it, meanwhile.
      _ = try HandleTable.shared.remove(new, .block)
      throw error
    }
    outBlock.pointee = new
  }
}

/// The content of a block on its way to another device, through host memory.
private struct Migration {
  private let source: DeviceBlock
  private let target: DeviceBlock
  private let stage: HostStage
  private let store: OpenStream
  private let load: OpenStream

  init(of block: DeviceBlock, to device: OpenDevice) throws(RoostError) {
    source = block
    target = try DeviceBlock(of: device, byteCount: block.memory.byteCount)
    stage = try HostStage(of: device, byteCount: min(block.memory.byteCount, Limits.stageByteCountMax))
    store = try OpenStream(of: block.owner, priority: .normal)
    load = try OpenStream(of: device, priority: .normal)
  }

  /// Copies chunk by chunk. What still runs when this throws keeps all that it needs.
  func run(until deadline: Deadline) throws(RoostError) -> DeviceBlock {
    var offset = 0
    while offset < source.memory.byteCount {
      let count = UInt(min(stage.memory.byteCount, source.memory.byteCount - offset))
      let out = CopyPiece(
        source: source.memory.address + UInt(offset), target: stage.memory.address, byteCount: count)
      let back = CopyPiece(
        source: stage.memory.address, target: target.memory.address + UInt(offset), byteCount: count)
      try store.copy(CollectionOfOne(out), .deviceToHost, needing: [source, stage], until: deadline)
      try load.copy(CollectionOfOne(back), .hostToDevice, needing: [target, stage], until: deadline)
      offset += Int(count)
    }
    return target
  }
}

extension OpenStream {
  /// Copies one piece and waits for it.
  fileprivate func copy(
    _ piece: CollectionOfOne<CopyPiece>, _ direction: CopyDirection, needing needs: [any AnyObject & Sendable],
    until deadline: Deadline
  ) throws(RoostError) {
    let array = Array(piece)
    try array.withUnsafeBufferPointer { pieces throws(RoostError) in
      try copy(pieces, direction, needing: needs)
    }
    defer { owner.release() }
    try stream.wait(until: deadline)
  }
}

/// Host memory between two devices; freed when nobody copies any more.
private final class HostStage: Sendable {
  let owner: OpenDevice
  let memory: HostMemory

  init(of owner: OpenDevice, byteCount: Int) throws(RoostError) {
    self.owner = owner
    memory = try owner.device.allocateHost(byteCount: byteCount)
  }

  deinit {
    do throws(RoostError) {
      try owner.device.freeHost(memory)
    } catch {
      Log.write(.warning, "host memory of \(owner.device.description.uri) cannot be freed: \(error)")
    }
  }
}
