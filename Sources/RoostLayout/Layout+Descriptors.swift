extension Layout {
  /// One descriptor for each index of the named axes, the first of which is the outermost; plane by plane.
  ///
  /// A descriptor covers all other axes of its plane; throws `notContiguous` if those are not one run of bytes, and
  /// `axisMissing` if a plane lacks a named axis. All factors of a repeated name are iterated, outermost first.
  public func descriptors(iterating names: [AxisName]) throws(LayoutError) -> Descriptors {
    var parts: [StridedRuns] = []
    parts.reserveCapacity(planes.count)
    for plane in planes { parts.append(try plane.descriptors(iterating: names)) }
    return Descriptors(parts: parts)
  }
}

extension Plane {
  fileprivate func descriptors(iterating names: [AxisName]) throws(LayoutError) -> StridedRuns {
    var loops: [StridedRuns.Loop] = []
    for (position, name) in names.enumerated() {
      guard extent(of: name) != nil else { throw .axisMissing(name, present: axes.map(\.name)) }
      guard !names[..<position].contains(name) else {
        throw .axisCount(name, named: names.count { $0 == name }, present: 1)
      }
      for axis in axes where axis.name == name && axis.extent > 1 {
        loops.append(StridedRuns.Loop(count: axis.extent, strideBytes: axis.strideBytes))
      }
    }
    let payload = axes.filter { $0.extent > 1 && !names.contains($0.name) }.sorted { $0.strideBytes < $1.strideBytes }
    var run = itemByteCount
    for axis in payload {
      guard axis.strideBytes == run else {
        throw .notContiguous(axis.name, strideBytes: axis.strideBytes, contiguousStrideBytes: run)
      }
      run *= axis.extent
    }
    return StridedRuns(offset: offsetBytes, loops: loops, run: run)
  }
}

/// Descriptors in iteration order, made one at a time.
public struct Descriptors: Sequence, IteratorProtocol {
  private let parts: [StridedRuns]
  private var partIndex = 0
  private var counters: [Int] = []
  private var offset = 0

  /// How many there are.
  public let count: Int

  init(parts: [StridedRuns]) {
    self.parts = parts
    count = parts.reduce(0) { $0 + $1.loops.reduce(1) { $0 * $1.count } }
    start()
  }

  /// The next descriptor.
  public mutating func next() -> ByteRun? {
    guard partIndex < parts.count else { return nil }
    let descriptor = ByteRun(offset: offset, byteCount: parts[partIndex].run)
    advance()
    return descriptor
  }

  private mutating func start() {
    guard partIndex < parts.count else { return }
    counters = Array(repeating: 0, count: parts[partIndex].loops.count)
    offset = parts[partIndex].offset
  }

  private mutating func advance() {
    let loops = parts[partIndex].loops
    for index in loops.indices.reversed() {
      counters[index] += 1
      if counters[index] < loops[index].count {
        offset += loops[index].strideBytes
        return
      }
      counters[index] = 0
      offset -= (loops[index].count - 1) * loops[index].strideBytes
    }
    partIndex += 1
    start()
  }
}
