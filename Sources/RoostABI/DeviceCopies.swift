import CRoostABI
import RoostDevice
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_stream_copy(
  _ handle: roost_stream, _ copies: UnsafePointer<roost_copy>?, _ count: Int
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let stream = try HandleTable.shared.stream(handle)
    let copies: [roost_copy] = try Arguments.structures(
      copies, count: count, max: Limits.answerCountMax, "copies")
    // All are looked at before the first one is made.
    var checked: [CheckedCopy] = []
    for (number, copy) in copies.enumerated() {
      do throws(RoostError) {
        checked.append(try CheckedCopy(copy, on: stream.owner))
      } catch {
        throw RoostError(error.code, "copy \(number): \(error.message)", context: error.context)
      }
    }
    try stream.owner.admit()
    for direction in CopyDirection.allCases {
      let alike = checked.filter { $0.direction == direction }
      let pieces = alike.flatMap(\.pieces)
      guard !pieces.isEmpty else { continue }
      let blocks = alike.flatMap(\.blocks)
      try pieces.withUnsafeBufferPointer { pieces throws(RoostError) in
        try stream.copy(pieces, direction, needing: blocks)
      }
    }
  }
}

/// One entry of a batch, with addresses that lie in the memory that it names.
private struct CheckedCopy {
  let direction: CopyDirection
  let pieces: [CopyPiece]
  let blocks: [DeviceBlock]

  /// A side of the copy.
  private struct Side {
    let name: String
    let address: UInt
    let byteCount: UInt

    func check(_ offset: UInt64, _ count: UInt64, piece: Int) throws(RoostError) {
      let (end, overflows) = offset.addingReportingOverflow(count)
      guard overflows || end > UInt64(byteCount) else { return }
      throw RoostError(
        .invalidInput,
        "piece \(piece) has \(count) bytes from byte \(offset) of the \(name), which has \(byteCount)")
    }
  }

  init(_ copy: roost_copy, on device: OpenDevice) throws(RoostError) {
    let source = copy.source == 0 ? nil : try CheckedCopy.block(copy.source, "source", on: device)
    let target = copy.target == 0 ? nil : try CheckedCopy.block(copy.target, "target", on: device)
    guard source != nil || target != nil else {
      throw RoostError(.invalidInput, "neither the source nor the target is a block of the device")
    }
    direction = source == nil ? .hostToDevice : target == nil ? .deviceToHost : .deviceToDevice
    blocks = [source, target].compactMap { $0 }
    let sides = (
      try CheckedCopy.side(source, copy, "source"), try CheckedCopy.side(target, copy, "target")
    )
    pieces = try CheckedCopy.pieces(copy, from: sides.0, to: sides.1)
  }

  private static func block(
    _ handle: roost_block, _ name: String, on device: OpenDevice
  ) throws(RoostError) -> DeviceBlock {
    let block = try HandleTable.shared.block(handle)
    guard block.owner === device else {
      throw RoostError(.invalidInput, "the \(name) is a block of another device; roost_block_migrate moves it")
    }
    return block
  }

  private static func side(_ block: DeviceBlock?, _ copy: roost_copy, _ name: String) throws(RoostError) -> Side {
    if let block {
      return Side(name: name, address: block.memory.address, byteCount: UInt(block.memory.byteCount))
    }
    guard copy.host != 0, !copy.host.addingReportingOverflow(copy.host_bytes).overflow else {
      throw RoostError(.invalidInput, "the host memory is null, or reaches beyond the end of memory")
    }
    return Side(name: name, address: UInt(copy.host), byteCount: UInt(copy.host_bytes))
  }

  private static func pieces(
    _ copy: roost_copy, from source: Side, to target: Side
  ) throws(RoostError) -> [CopyPiece] {
    guard let given = copy.pieces else {
      guard source.byteCount == target.byteCount else {
        throw RoostError(
          .invalidInput, "the source has \(source.byteCount) bytes, the target \(target.byteCount); say which pieces")
      }
      return [CopyPiece(source: source.address, target: target.address, byteCount: source.byteCount)]
    }
    guard 0...Limits.pieceCountMax ~= copy.piece_count else {
      throw Arguments.tooMany("pieces", copy.piece_count, Limits.pieceCountMax)
    }
    let list = try Arguments.required(given, "pieces")
    var pieces: [CopyPiece] = []
    pieces.reserveCapacity(copy.piece_count)
    for index in 0..<copy.piece_count {
      let piece = list[index]
      try source.check(piece.source, piece.byte_count, piece: index)
      try target.check(piece.target, piece.byte_count, piece: index)
      pieces.append(
        CopyPiece(
          source: source.address + UInt(piece.source), target: target.address + UInt(piece.target),
          byteCount: UInt(piece.byte_count)))
    }
    return pieces
  }
}
