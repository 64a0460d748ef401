extension Plane {
  /// The same plane with other axes, and its start moved by so many bytes.
  func replacing(axes: [Axis], movedBy bytes: Int = 0) -> Plane {
    Plane(axes: axes, itemByteCount: itemByteCount, offsetBytes: offsetBytes + bytes)
  }

  /// Steps `start ..< start + count` of an axis; the range has been checked.
  func narrowed(_ name: AxisName, from start: Int, count: Int) throws(LayoutError) -> Plane {
    var axes = axes
    var (start, count) = (start, count)
    var moved = 0
    for index in axes.indices.reversed() where axes[index].name == name {
      let axis = axes[index]
      let firstBlock = start / axis.extent
      let lastBlock = (start + count - 1) / axis.extent
      if firstBlock == lastBlock {  // within one step of the factors outside
        axes[index] = Axis(name, count, strideBytes: axis.strideBytes)
        moved += start % axis.extent * axis.strideBytes
        (start, count) = (firstBlock, 1)
      } else {
        guard start % axis.extent == 0, count % axis.extent == 0 else {
          throw .radixInvalid(name, extent: axis.extent, radix: start % axis.extent == 0 ? count : start)
        }
        (start, count) = (start / axis.extent, count / axis.extent)
      }
    }
    return replacing(axes: axes, movedBy: moved)
  }

  /// Groups of `inner` steps, which divides the axis' extent. The groups' axis comes before what is left of the axis.
  func split(_ name: AxisName, by inner: Int, outer: AxisName) throws(LayoutError) -> Plane {
    let outermost = axes.firstIndex { $0.name == name }
    var result: [Axis] = []  // from the innermost outward
    var left = inner  // steps of a group that the factors so far do not make up
    var hasOuter = false
    for (index, axis) in axes.enumerated().reversed() {
      guard axis.name == name else {
        result.append(axis)
        continue
      }
      let kept = greatestCommonDivisor(left, axis.extent)
      let groups = axis.extent / kept
      guard kept == left || groups == 1 else { throw .radixInvalid(name, extent: axis.extent, radix: inner) }
      left /= kept
      if !hasOuter && (kept > 1 || inner == 1) { result.append(Axis(name, kept, strideBytes: axis.strideBytes)) }
      if groups > 1 || index == outermost && !hasOuter {
        result.append(Axis(outer, groups, strideBytes: axis.strideBytes &* kept))
        hasOuter = true
      }
    }
    return replacing(axes: result.reversed())
  }

  /// Two axes of one factor each as one.
  func fused(_ outer: AxisName, _ inner: AxisName, as name: AxisName) throws(LayoutError) -> Plane {
    let outerAxis = try onlyAxis(outer)
    let innerAxis = try onlyAxis(inner)
    let length = innerAxis.extent * innerAxis.strideBytes
    guard outer != inner, outerAxis.extent == 1 || innerAxis.extent == 1 || outerAxis.strideBytes == length else {
      throw .notAffine(
        outer: outer, inner: inner, outerStrideBytes: outerAxis.strideBytes, innerLengthBytes: length)
    }
    let stride = innerAxis.extent == 1 ? outerAxis.strideBytes : innerAxis.strideBytes
    let fused = Axis(name, outerAxis.extent * innerAxis.extent, strideBytes: stride)
    return replacing(
      axes: axes.compactMap { $0.name == inner ? nil : $0.name == outer ? fused : $0 })
  }

  /// The axes in the order of the names.
  func permuted(_ order: [AxisName]) throws(LayoutError) -> Plane {
    var result: [Axis] = []
    var used = Array(repeating: false, count: axes.count)
    for name in order {
      let factors = axes.indices.filter { axes[$0].name == name }
      let named = order.count { $0 == name }
      guard !factors.isEmpty else { throw .axisMissing(name, present: axes.map(\.name)) }
      guard named == 1 || named == factors.count else {
        throw .axisCount(name, named: named, present: factors.count)
      }
      for index in named == 1 ? factors : [factors.first { !used[$0] } ?? factors[0]] {
        used[index] = true
        result.append(axes[index])
      }
    }
    if let left = used.firstIndex(of: false) {
      throw .axisCount(axes[left].name, named: 0, present: axes.count { $0.name == axes[left].name })
    }
    return replacing(axes: result)
  }

  private func onlyAxis(_ name: AxisName) throws(LayoutError) -> Axis {
    let factors = axes.filter { $0.name == name }
    guard let first = factors.first else { throw .axisMissing(name, present: axes.map(\.name)) }
    guard factors.count == 1 else { throw .axisCount(name, named: 1, present: factors.count) }
    return first
  }
}
