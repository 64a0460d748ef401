extension CopyPart {
  /// Whether each loop's target stride is at least as long as everything inside it: then the runs come in ascending
  /// order and none share a byte.
  var isNested: Bool { nestedSpan > 0 }

  /// Bytes from the first to just past the last one that is written, 0 if the loops do not nest.
  fileprivate var nestedSpan: Int {
    var span = run
    var index = loops.count - 1
    while index >= 0 {
      guard loops[index].targetStride >= span else { return 0 }
      span &+= (loops[index].count &- 1) &* loops[index].targetStride
      index -= 1
    }
    return span
  }

  /// The loops whose every step must become a stream of its own, so that what remains of each stream is nested.
  ///
  /// Where a loop does not nest, either it or everything inside it is taken, whichever gives fewer streams.
  var interleavingLoops: [Int] {
    var taken: [Int] = []
    var span = run
    var insideCount = 1
    var inside: [Int] = []
    for index in loops.indices.reversed() {
      let loop = loops[index]
      if loop.targetStride < span {
        if loop.count <= insideCount || loop.targetStride < run {
          taken.append(index)
          continue
        }
        taken += inside
        (inside, insideCount, span) = ([], 1, run)
      }
      inside.append(index)
      insideCount &*= loop.count
      span &+= (loop.count &- 1) &* loop.targetStride
    }
    return taken
  }

  /// Streams that the ascending iterator makes of this part; a number above the limit stands for itself or more.
  var streamCount: Int {
    guard !isNested else { return 1 }
    var count = 1
    for index in interleavingLoops where count <= Limits.streamCountMax {
      count *= min(loops[index].count, Limits.streamCountMax + 1)
    }
    return count
  }
}

extension CopyPlan {
  /// Whether every part is nested and the parts' targets lie one after another, in any order: the common case, in
  /// which the target cannot alias itself and ascending order needs no merging within parts.
  var hasDisjointParts: Bool {
    var end = Int.min
    var ascending = true
    for index in parts.indices {
      let span = parts[index].nestedSpan
      guard span > 0 else { return false }
      let start = parts[index].targetOffset
      if start < end { ascending = false }
      end = start &+ span
    }
    if ascending { return true }
    let ranges = parts.map(\.targetRange).sorted { $0.lowerBound < $1.lowerBound }
    return zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound }
  }
}
