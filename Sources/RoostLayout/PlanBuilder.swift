/// Builds a plan plane by plane.
///
/// 1. Each axis is refined into loops (`Refinement`). 2. The loops are coalesced into a part, or one part for each
/// combination of pieces. 3. Parts that repeat the one before at a constant distance become one part with one more
/// loop: the layers of a cache that registers one region a layer.
struct PlanBuilder {
  private var parts: [CopyPart] = []
  private var loops = LoopList()
  private var refinement = Refinement()
  private var series = PartSeries()

  /// The plan of all planes that were added.
  mutating func finish() -> CopyPlan {
    series.close(into: &parts)
    return CopyPlan(parts: parts)
  }

  /// Adds the copy of plane `number`.
  mutating func add(_ source: Plane, to target: Plane, number: Int) throws(LayoutError) {
    guard source.itemByteCount == target.itemByteCount else {
      throw .itemMismatch(plane: number, source: source.itemByteCount, target: target.itemByteCount)
    }
    loops.removeAll()
    refinement.removeAll()
    for (index, axis) in source.axes.enumerated() where source.isFirstFactor(index) {
      try refinement.add(axis.name, from: source.axes, to: target.axes, into: &loops)
    }
    for axis in target.axes where axis.extent > 1 && source.extent(of: axis.name) == nil {
      throw .axisMissing(axis.name, present: source.axes.map(\.name))
    }
    if refinement.cuts.isEmpty {
      let run = loops.coalesce(run: source.itemByteCount)
      append(sourceOffset: source.offsetBytes, targetOffset: target.offsetBytes, run: run)
    } else {
      try appendCombinations(source, target)
    }
  }

  /// Adds the copy of a plane onto itself, which needs no refinement.
  mutating func addAlone(_ plane: Plane) {
    loops.removeAll()
    for axis in plane.axes {
      loops.append(CopyLoop(count: axis.extent, sourceStride: axis.strideBytes, targetStride: axis.strideBytes))
    }
    let run = loops.coalesce(run: plane.itemByteCount)
    append(sourceOffset: plane.offsetBytes, targetOffset: plane.offsetBytes, run: run)
  }

  /// Adds the copy of planes with the same axes as the ones added last, at other offsets; false if that was a cut.
  mutating func addRepeated(_ source: Plane, to target: Plane) -> Bool {
    guard refinement.cuts.isEmpty else { return false }
    series.extend(sourceOffset: source.offsetBytes, targetOffset: target.offsetBytes, into: &parts)
    return true
  }

  /// Adds a part for every combination of the pieces of all cuts.
  private mutating func appendCombinations(_ source: Plane, _ target: Plane) throws(LayoutError) {
    let cuts = refinement.cuts
    var combinationCount = 1
    for cut in cuts {
      combinationCount *= cut.count
      guard combinationCount + parts.count <= Limits.partCountMax else {
        throw .limitPassed("parts of a plan", count: combinationCount + parts.count, limit: Limits.partCountMax)
      }
    }
    let common = loops
    for combination in 0..<combinationCount {
      var left = combination
      var sourceOffset = source.offsetBytes
      var targetOffset = target.offsetBytes
      loops = common
      for cut in cuts.reversed() {
        let piece = cut[left % cut.count]
        left /= cut.count
        sourceOffset += piece.sourceOffset
        targetOffset += piece.targetOffset
        loops.append(piece.loop)
      }
      let run = loops.coalesce(run: source.itemByteCount)
      append(sourceOffset: sourceOffset, targetOffset: targetOffset, run: run)
    }
  }

  /// Adds the part that `loops` and `run` describe, to the series before it if it continues that.
  private mutating func append(sourceOffset: Int, targetOffset: Int, run: Int) {
    if series.count > 0, series.run == run, loops.equals(series.loops) {
      series.extend(sourceOffset: sourceOffset, targetOffset: targetOffset, into: &parts)
    } else {
      series.close(into: &parts)
      series = PartSeries(sourceOffset: sourceOffset, targetOffset: targetOffset, loops: loops.array, run: run)
    }
  }
}

extension Plane {
  /// Whether no axis before `index` has the same name.
  fileprivate func isFirstFactor(_ index: Int) -> Bool {
    for earlier in 0..<index where axes[earlier].name == axes[index].name { return false }
    return true
  }
}
