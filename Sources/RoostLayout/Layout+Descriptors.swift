import RoostPrimitives

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

/// One descriptor as transports take it: three 64-bit words in this order, which C and Python read as raw memory.
public struct Descriptor: Hashable, Sendable {
  /// Address of the first byte.
  public var address: UInt
  /// How many bytes.
  public var byteCount: UInt
  /// The number of the device that the memory is of, as the transport counts devices.
  public var device: UInt

  /// Makes a descriptor.
  public init(address: UInt, byteCount: UInt, device: UInt) {
    self.address = address
    self.byteCount = byteCount
    self.device = device
  }
}

extension Descriptors {
  /// Writes all descriptors and answers how many, which is `count`.
  ///
  /// `base` is the address of byte 0 of the layout; sums wrap. `descriptors` must hold `count`.
  @discardableResult
  public func emit(base: UInt, device: UInt, into descriptors: UnsafeMutableBufferPointer<Descriptor>) -> Int {
    precondition(descriptors.count >= count, "the buffer must hold all descriptors")
    guard let start = descriptors.baseAddress else { return 0 }
    // A descriptor is a piece of a copy of which only the first word moves; both are three words.
    return start.withMemoryRebound(to: CopyPiece.self, capacity: count) { pieces in
      var position = 0
      for part in parts {
        let loops = part.loops.map { CopyLoop(count: $0.count, sourceStride: $0.strideBytes, targetStride: 0) }
        let copy = CopyPart(
          sourceOffset: part.offset, targetOffset: part.run, loops: loops, run: Int(bitPattern: device))
        position += copy.emit(sourceBase: base, targetBase: 0, to: pieces + position)
      }
      return position
    }
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
