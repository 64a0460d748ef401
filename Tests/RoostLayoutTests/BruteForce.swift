import RoostLayout
import RoostPrimitives

/// What the algebra must agree with: every element by itself, from nothing but index arithmetic.
enum BruteForce {
  /// The byte offset of each element of a plane, by its logical index over the given names (first name slowest).
  static func offsets(_ plane: Plane, order: [AxisName]) -> [Int] {
    var result = [plane.offsetBytes]
    for name in order {
      for axis in plane.axes where axis.name == name {  // factors come outermost first: mixed radix
        var next: [Int] = []
        next.reserveCapacity(result.count * axis.extent)
        for offset in result {
          for step in 0..<axis.extent { next.append(offset + step * axis.strideBytes) }
        }
        result = next
      }
    }
    return result
  }

  /// The copy element by element, ascending by target, joined where both sides continue; nil if the target aliases.
  static func pieces(from source: Layout, to target: Layout) -> [CopyPiece]? {
    var elements: [CopyPiece] = []
    for (from, to) in zip(source.planes, target.planes) {
      var order: [AxisName] = []
      for axis in from.axes + to.axes where !order.contains(axis.name) { order.append(axis.name) }
      for (source, target) in zip(offsets(from, order: order), offsets(to, order: order)) {
        elements.append(
          CopyPiece(source: UInt(source), target: UInt(target), byteCount: UInt(from.itemByteCount)))
      }
    }
    elements.sort { $0.target < $1.target }
    var result: [CopyPiece] = []
    for element in elements {
      guard let last = result.last else {
        result.append(element)
        continue
      }
      if element.target < last.target + last.byteCount { return nil }
      if element.target == last.target + last.byteCount, element.source == last.source + last.byteCount {
        result[result.count - 1].byteCount += element.byteCount
      } else {
        result.append(element)
      }
    }
    return result
  }

  /// The bytes a layout occupies as maximal runs.
  static func runs(_ layout: Layout) -> [ByteRun] {
    var elements: [Range<Int>] = []
    for plane in layout.planes {
      var order: [AxisName] = []
      for axis in plane.axes where !order.contains(axis.name) { order.append(axis.name) }
      elements += offsets(plane, order: order).map { $0..<$0 + plane.itemByteCount }
    }
    elements.sort { $0.lowerBound < $1.lowerBound }
    var result: [Range<Int>] = []
    for element in elements {
      if let last = result.last, element.lowerBound <= last.upperBound {
        result[result.count - 1] = last.lowerBound..<max(last.upperBound, element.upperBound)
      } else {
        result.append(element)
      }
    }
    return result.map { ByteRun(offset: $0.lowerBound, byteCount: $0.count) }
  }

  /// The pieces of a plan's strided form, in no particular order.
  static func expand(_ part: CopyPart) -> [CopyPiece] {
    var result = [
      CopyPiece(source: UInt(part.sourceOffset), target: UInt(part.targetOffset), byteCount: UInt(part.run))
    ]
    for loop in part.loops {
      var next: [CopyPiece] = []
      for piece in result {
        for step in 0..<loop.count {
          next.append(
            CopyPiece(
              source: piece.source + UInt(step * loop.sourceStride),
              target: piece.target + UInt(step * loop.targetStride), byteCount: piece.byteCount))
        }
      }
      result = next
    }
    return result
  }
}
