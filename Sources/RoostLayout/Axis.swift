/// One factor of a logical axis: how many steps it has and how far apart they lie.
///
/// Several axes of a plane may carry the same name: a hierarchical axis, outermost factor first. Two axes `token`
/// of extents 4 and 16 are 64 tokens, of which token `i` is step `i / 16` of the first and `i % 16` of the second.
public struct Axis: Hashable, Sendable {
  /// What is counted.
  public let name: AxisName
  /// Steps, at least 1.
  public let extent: Int
  /// Bytes from one step to the next, at least 0.
  public let strideBytes: Int

  /// Makes an axis. A `Layout` checks the values.
  public init(_ name: AxisName, _ extent: Int, strideBytes: Int) {
    self.name = name
    self.extent = extent
    self.strideBytes = strideBytes
  }
}

/// One affine piece of a layout: the element at index (i, j, ...) lies at `offsetBytes + i * stride + j * stride + ...`.
public struct Plane: Hashable, Sendable {
  /// The axes in logical order, outermost first. The order has no bearing on where bytes lie, except that factors of
  /// the same name go from the outermost to the innermost.
  public let axes: [Axis]
  /// Bytes of one element, at least 1.
  public let itemByteCount: Int
  /// Where the first element lies, from the start of the region.
  public let offsetBytes: Int

  /// Makes a plane. A `Layout` checks the values.
  public init(axes: [Axis], itemByteCount: Int, offsetBytes: Int = 0) {
    self.axes = axes
    self.itemByteCount = itemByteCount
    self.offsetBytes = offsetBytes
  }

  /// Elements: the product of the extents.
  public var elementCount: Int { axes.reduce(1) { $0 &* $1.extent } }

  /// Bytes of all elements, holes left out.
  public var byteCount: Int { elementCount &* itemByteCount }

  /// From the first byte to just past the last one, holes included.
  public var byteRange: Range<Int> {
    var end = offsetBytes &+ itemByteCount
    for axis in axes where axis.extent > 1 { end &+= (axis.extent &- 1) &* axis.strideBytes }
    return offsetBytes..<end
  }

  /// The product of the extents of all factors of `name`; nil if there is none.
  public func extent(of name: AxisName) -> Int? {
    var product: Int?
    for axis in axes where axis.name == name { product = (product ?? 1) &* axis.extent }
    return product
  }
}
