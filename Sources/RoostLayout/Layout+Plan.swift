extension Layout {
  /// The copy of every element of `source` to the same logical index of `target`.
  ///
  /// Both must have the same logical axes: the same names with the same extents, in any order, however each is cut
  /// into factors; an axis of extent 1 may be missing. Planes correspond by position. Reads of the source may overlap
  /// (stride 0); a target in which two elements share a byte is an error. So are an opaque page whose tokens would be
  /// cut or rearranged, and items of different sizes. Costs time in the number of axes, not of elements.
  public static func plan(from source: Layout, to target: Layout) throws(LayoutError) -> CopyPlan {
    guard source.planes.count == target.planes.count else {
      throw .planeCountMismatch(source: source.planes.count, target: target.planes.count)
    }
    if source.isOpaque || target.isOpaque { try checkTokensStay(from: source, to: target) }
    var builder = PlanBuilder()
    for index in source.planes.indices {
      let from = source.planes[index]
      let to = target.planes[index]
      if index > 0, from.hasAxes(of: source.planes[index - 1]), to.hasAxes(of: target.planes[index - 1]),
        builder.addRepeated(from, to: to)
      {
        continue
      }
      try builder.add(from, to: to, number: index)
    }
    let plan = builder.finish()
    if !plan.hasDisjointParts {
      try AliasSearch.check(target)
      try CopyPieces.checkStreams(of: plan.parts)
    }
    return plan
  }

  /// Throws unless the factors of every token axis are the same on both sides, strides included: only then is an
  /// opaque page copied as a whole.
  private static func checkTokensStay(from source: Layout, to target: Layout) throws(LayoutError) {
    for index in source.planes.indices {
      let sourceFactors = source.planes[index].axes.filter { $0.name.countsTokens && $0.extent > 1 }
      let targetFactors = target.planes[index].axes.filter { $0.name.countsTokens && $0.extent > 1 }
      guard sourceFactors == targetFactors else {
        throw .opaqueCut((sourceFactors.first ?? targetFactors.first)?.name ?? .token)
      }
    }
  }
}

extension Plane {
  /// Whether axes and item size are the same; the offset may differ.
  func hasAxes(of other: Plane) -> Bool {
    itemByteCount == other.itemByteCount && axes == other.axes
  }
}
