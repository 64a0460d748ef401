/// Finds out whether two elements of a layout share a byte.
///
/// Looks for index differences `d` with `-run < offset + sum(d[k] * stride[k]) < run`, from the largest stride to the
/// smallest, and follows a difference only if the smaller strides can still bring the sum into that range. Where
/// strides nest there is one candidate a loop. All numbers stay below 2^62 (`Limits.byteOffsetMax`).
struct AliasSearch {
  /// A difference of indexes along one loop: its bounds, what one step weighs, and how far the terms after it reach.
  private struct Term {
    let lower: Int
    let upper: Int
    let stride: Int
    var reachBelow = 0
    var reachAbove = 0
  }

  private var terms: [Term] = []
  private var window = 0...0
  private var needsDifference = false
  private var stepsLeft = Limits.aliasStepMax

  /// Throws `targetAliases` if two elements of the layout share a byte, `limitPassed` if that is too hard to tell.
  static func check(_ layout: Layout) throws(LayoutError) {
    let parts = layout.coalescedParts().sorted { $0.targetOffset < $1.targetOffset }
    var search = AliasSearch()
    for part in parts where !part.isNested {
      search.prepare(part)
      if try search.finds() { throw error(part, in: layout) }
    }
    for (index, part) in parts.enumerated() {
      let end = part.targetRange.upperBound
      for other in parts[(index + 1)...] {
        if other.targetOffset >= end { break }
        search.prepare(part, other)
        if try search.finds() { throw error(part, in: layout) }
      }
    }
  }

  private static func error(_ part: CopyPart, in layout: Layout) -> LayoutError {
    let index = layout.planes.firstIndex { $0.offsetBytes == part.targetOffset } ?? 0
    return .targetAliases(plane: index, axes: layout.planes[index].axes.filter { $0.extent > 1 }.map(\.name))
  }

  /// Sets up the search for two different runs of one part that share a byte.
  private mutating func prepare(_ part: CopyPart) {
    terms = part.loops.map { Term(lower: 1 - $0.count, upper: $0.count - 1, stride: $0.targetStride) }
    window = (1 - part.run)...(part.run - 1)
    needsDifference = true
    setReaches()
  }

  /// Sets up the search for a run of each part that share a byte. The difference is `part` minus `other`.
  private mutating func prepare(_ part: CopyPart, _ other: CopyPart) {
    terms = part.loops.map { Term(lower: 0, upper: $0.count - 1, stride: $0.targetStride) }
    terms += other.loops.map { Term(lower: 1 - $0.count, upper: 0, stride: $0.targetStride) }
    terms.sort { $0.stride > $1.stride }
    let distance = part.targetOffset - other.targetOffset
    window = (1 - part.run - distance)...(other.run - 1 - distance)
    needsDifference = false
    setReaches()
  }

  private mutating func setReaches() {
    var (below, above) = (0, 0)
    for index in terms.indices.reversed() {
      terms[index].reachBelow = below
      terms[index].reachAbove = above
      below += terms[index].lower * terms[index].stride
      above += terms[index].upper * terms[index].stride
    }
  }

  private mutating func finds() throws(LayoutError) -> Bool {
    try takeStep()
    if needsDifference, terms.contains(where: { $0.stride == 0 }) { return true }
    return try descend(0, sum: 0, differs: !needsDifference)
  }

  /// Tries every difference of term `index` that can still end in the window.
  private mutating func descend(_ index: Int, sum: Int, differs: Bool) throws(LayoutError) -> Bool {
    guard index < terms.count else { return differs && window.contains(sum) }
    let term = terms[index]
    // A pair of equal runs is found from both sides: the first difference that is not 0 may be taken as positive.
    let lowest = differs ? term.lower : max(term.lower, 0)
    let first = max(lowest, ceiling(window.lowerBound - term.reachAbove - sum, term.stride))
    let last = min(term.upper, floor(window.upperBound - term.reachBelow - sum, term.stride))
    guard first <= last else { return false }
    for difference in first...last {
      try takeStep()
      let next = sum + difference * term.stride
      if try descend(index + 1, sum: next, differs: differs || difference != 0) { return true }
    }
    return false
  }

  private mutating func takeStep() throws(LayoutError) {
    stepsLeft -= 1
    guard stepsLeft > 0 else {
      let limit = Limits.aliasStepMax
      throw .limitPassed("steps to see whether a target aliases itself", count: limit, limit: limit)
    }
  }

  private func floor(_ value: Int, _ divisor: Int) -> Int {
    value >= 0 ? value / divisor : -((divisor - 1 - value) / divisor)
  }

  private func ceiling(_ value: Int, _ divisor: Int) -> Int { -floor(-value, divisor) }
}
