// Operations apply to every plane that has the axis; an axis that no plane has is an error. A repeated name is one
// logical axis: steps count over all its factors.

extension Layout {
  /// Keeps steps `start ..< start + count` of an axis.
  ///
  /// Across the factors of a repeated name the steps must stay affine: within one inner block or whole inner blocks,
  /// otherwise `radixInvalid`.
  public func narrow(_ name: AxisName, from start: Int, count: Int) throws(LayoutError) -> Layout {
    try mapPlanes(having: name) { plane throws(LayoutError) in
      let extent = plane.extent(of: name) ?? 1
      guard start >= 0, count >= 1, start <= extent, count <= extent - start else {
        throw .rangeInvalid(name, start: start, count: count, extent: extent)
      }
      try checkMayCut(name, keeping: count, of: extent)
      return try plane.narrowed(name, from: start, count: count)
    }
  }

  /// Fixes an axis at one step and removes it.
  public func select(_ name: AxisName, _ index: Int) throws(LayoutError) -> Layout {
    try mapPlanes(having: name) { plane throws(LayoutError) in
      let extent = plane.extent(of: name) ?? 1
      guard index >= 0, index < extent else {
        throw .rangeInvalid(name, start: index, count: 1, extent: extent)
      }
      try checkMayCut(name, keeping: 1, of: extent)
      let narrowed = try plane.narrowed(name, from: index, count: 1)
      return narrowed.replacing(axes: narrowed.axes.filter { $0.name != name })
    }
  }

  /// Cuts an axis into groups of `inner` steps: a new axis `outer` that counts the groups, before what is left of the
  /// axis. An exact sub-block: no byte moves. With `outer` the same name, the axis becomes hierarchical.
  public func split(_ name: AxisName, by inner: Int, outer: AxisName) throws(LayoutError) -> Layout {
    try mapPlanes(having: name) { plane throws(LayoutError) in
      let extent = plane.extent(of: name) ?? 1
      guard inner >= 1, extent % inner == 0 else {
        throw .radixInvalid(name, extent: extent, radix: inner)
      }
      try checkMayCut(name, keeping: inner, of: extent)
      return try plane.split(name, by: inner, outer: outer)
    }
  }

  /// Makes one axis of two, at the place of the outer one; throws `notAffine` unless the outer stride is the length of
  /// the inner axis. To join axes that are not, rename both to one name.
  public func fuse(_ outer: AxisName, _ inner: AxisName, as name: AxisName) throws(LayoutError) -> Layout {
    try mapPlanes(having: outer) { plane throws(LayoutError) in try plane.fused(outer, inner, as: name) }
  }

  /// Puts the axes into another logical order, in which no byte moves. Every name once for each of its factors,
  /// or once for all of them together.
  public func permute(_ order: [AxisName]) throws(LayoutError) -> Layout {
    var result: [Plane] = []
    for plane in planes { result.append(try plane.permuted(order)) }
    return try Layout(planes: result, isOpaque: isOpaque)
  }

  /// Gives an axis another name. If there are axes of that name already, they become factors of one.
  public func rename(_ name: AxisName, to newName: AxisName) throws(LayoutError) -> Layout {
    try mapPlanes(having: name) { plane throws(LayoutError) in
      plane.replacing(
        axes: plane.axes.map { $0.name == name ? Axis(newName, $0.extent, strideBytes: $0.strideBytes) : $0 })
    }
  }

  /// Keeps what rank `rank` of `size` holds of an axis of `total` heads (or layers): an equal part in order of rank,
  /// or, where there are more ranks than heads, head `rank * total / size` rounded down. One must divide the other.
  public func shard(_ name: AxisName, total: Int, rank: Int, size: Int) throws(LayoutError) -> Layout {
    let heads = try HeadRange(name, total: total, rank: rank, size: size)
    for plane in planes {
      guard plane.extent(of: name) ?? total == total else {
        throw .shardInvalid(name, total: total, rank: rank, size: size)
      }
    }
    return try narrow(name, from: heads.start, count: heads.count)
  }

  /// Moves every plane by so many bytes, for one to a place inside a larger region.
  public func offset(byBytes bytes: Int) throws(LayoutError) -> Layout {
    var result: [Plane] = []
    for plane in planes {
      let (offset, overflows) = plane.offsetBytes.addingReportingOverflow(bytes)
      guard !overflows else { throw .offsetInvalid(offsetBytes: bytes) }
      result.append(Plane(axes: plane.axes, itemByteCount: plane.itemByteCount, offsetBytes: offset))
    }
    return try Layout(planes: result, isOpaque: isOpaque)
  }

  /// An opaque page may be cut by block, layer or head, but not by token.
  private func checkMayCut(_ name: AxisName, keeping count: Int, of extent: Int) throws(LayoutError) {
    if isOpaque, name.countsTokens, count != extent { throw .opaqueCut(name) }
  }

  private func mapPlanes(
    having name: AxisName, _ transform: (Plane) throws(LayoutError) -> Plane
  ) throws(LayoutError) -> Layout {
    var result: [Plane] = []
    var isPresent = false
    for plane in planes {
      guard plane.extent(of: name) != nil else {
        result.append(plane)
        continue
      }
      isPresent = true
      result.append(try transform(plane))
    }
    guard isPresent else { throw .axisMissing(name, present: axisNames) }
    return try Layout(planes: result, isOpaque: isOpaque)
  }
}
