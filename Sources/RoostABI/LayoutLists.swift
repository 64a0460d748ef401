import CRoostABI
import RoostLayout
import RoostPrimitives

/// The caller's array for so many elements.
///
/// - Throws: `outOfResources` if they do not fit, after their number was told.
private func room<Element>(
  for count: Int, _ out: UnsafeMutablePointer<Element>?, _ capacity: Int, _ outCount: UnsafeMutablePointer<Int>?
) throws(RoostError) -> UnsafeMutablePointer<Element>? {
  let outCount = try Arguments.required(outCount, "out_count")
  outCount.pointee = count
  guard count <= capacity else {
    throw RoostError(.outOfResources, "there is room for \(max(0, capacity)) elements, but there are \(count)")
  }
  return count == 0 ? nil : try Arguments.required(out, "out")
}

/// See roost.h.
@c @implementation public func roost_layout_descriptors(
  _ layout: roost_text, _ axes: roost_text, _ address: UInt64, _ device: UInt64,
  _ out: UnsafeMutablePointer<roost_descriptor>?, _ capacity: Int, _ outCount: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let (layout, axes) = (try LayoutReader.layout(layout, "layout"), try LayoutReader.axes(axes))
    let descriptors = try LayoutError.translated { () throws(LayoutError) in
      try layout.descriptors(iterating: axes)
    }
    let count = descriptors.count
    guard let target = try room(for: count, out, capacity, outCount) else { return }
    _ = target.withMemoryRebound(to: Descriptor.self, capacity: count) { target in
      descriptors.emit(
        base: UInt(address), device: UInt(device), into: UnsafeMutableBufferPointer(start: target, count: count))
    }
  }
}

/// See roost.h.
@c @implementation public func roost_layout_pieces(
  _ source: roost_text, _ target: roost_text, _ sourceAddress: UInt64, _ targetAddress: UInt64,
  _ out: UnsafeMutablePointer<roost_piece>?, _ capacity: Int, _ outCount: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let plan = try LayoutReader.plan(source, target)
    let count = plan.pieceCount
    guard let target = try room(for: count, out, capacity, outCount) else { return }
    _ = target.withMemoryRebound(to: CopyPiece.self, capacity: count) { target in
      plan.emit(
        sourceBase: UInt(sourceAddress), targetBase: UInt(targetAddress),
        into: UnsafeMutableBufferPointer(start: target, count: count))
    }
  }
}
