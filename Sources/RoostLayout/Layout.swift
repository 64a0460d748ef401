/// Where every element of a cache, page or shard lies: named axes with extents and byte strides, in one or more planes.
///
/// An immutable value that owns no memory and is independent of it: offsets count from the start of a region. Every
/// layout that exists is valid: extents at least 1, strides and offsets at least 0, all bytes within 2^60, which the
/// initialiser checks and every operation keeps.
public struct Layout: Hashable, Sendable {
  /// The affine pieces, at least one. Planes of two layouts correspond by position.
  public let planes: [Plane]
  /// Whether the page must not be cut by token: its bytes have a meaning only as a whole.
  public let isOpaque: Bool

  /// Makes a layout of planes; throws if a value is out of range.
  public init(planes: [Plane], isOpaque: Bool = false) throws(LayoutError) {
    guard !planes.isEmpty, planes.count <= Limits.planeCountMax else {
      throw .limitPassed("planes", count: planes.count, limit: planes.isEmpty ? 1 : Limits.planeCountMax)
    }
    var byteCount = 0
    for plane in planes {
      try plane.validate()
      byteCount += plane.byteCount
      guard byteCount <= Limits.byteOffsetMax else {
        throw .limitPassed("bytes in all planes", count: byteCount, limit: Limits.byteOffsetMax)
      }
    }
    self.planes = planes
    self.isOpaque = isOpaque
  }

  /// Makes a layout of one plane; throws if a value is out of range.
  public init(
    axes: [Axis], itemByteCount: Int, offsetBytes: Int = 0, isOpaque: Bool = false
  ) throws(LayoutError) {
    try self.init(
      planes: [Plane(axes: axes, itemByteCount: itemByteCount, offsetBytes: offsetBytes)], isOpaque: isOpaque)
  }

  /// Bytes of all elements, holes left out.
  public var byteCount: Int { planes.reduce(0) { $0 &+ $1.byteCount } }

  /// From the first byte of any plane to just past the last one, holes included.
  public var byteRange: Range<Int> {
    var range = planes[0].byteRange
    for plane in planes.dropFirst() {
      let other = plane.byteRange
      range = min(range.lowerBound, other.lowerBound)..<max(range.upperBound, other.upperBound)
    }
    return range
  }

  /// The names of all planes' axes, each once, in order of appearance.
  public var axisNames: [AxisName] {
    var names: [AxisName] = []
    for plane in planes {
      for axis in plane.axes where !names.contains(axis.name) { names.append(axis.name) }
    }
    return names
  }

  /// Throws `outOfBounds` if a byte lies outside a region of that size.
  public func checkFits(regionByteCount: Int) throws(LayoutError) {
    let end = byteRange.upperBound
    guard end <= regionByteCount else { throw .outOfBounds(endBytes: end, regionByteCount: regionByteCount) }
  }
}

extension Plane {
  /// Throws if a value is out of range or the plane would reach beyond `Limits.byteOffsetMax`.
  func validate() throws(LayoutError) {
    guard axes.count <= Limits.axisCountMax else {
      throw .limitPassed("axes", count: axes.count, limit: Limits.axisCountMax)
    }
    guard itemByteCount >= 1 else { throw .itemInvalid(itemByteCount: itemByteCount) }
    guard offsetBytes >= 0 else { throw .offsetInvalid(offsetBytes: offsetBytes) }
    guard itemByteCount <= Limits.byteOffsetMax, offsetBytes <= Limits.byteOffsetMax - itemByteCount else {
      throw .limitPassed("bytes to the end of the first item", count: offsetBytes, limit: Limits.byteOffsetMax)
    }
    var end = offsetBytes + itemByteCount
    var byteCount = itemByteCount
    for axis in axes {
      guard axis.extent >= 1 else { throw .extentInvalid(axis.name, extent: axis.extent) }
      guard axis.strideBytes >= 0 else { throw .strideInvalid(axis.name, strideBytes: axis.strideBytes) }
      let overflow = LayoutError.overflow(axis.name, extent: axis.extent, strideBytes: axis.strideBytes)
      let (length, lengthOverflows) = (axis.extent - 1).multipliedReportingOverflow(by: axis.strideBytes)
      let (product, productOverflows) = byteCount.multipliedReportingOverflow(by: axis.extent)
      guard !lengthOverflows, !productOverflows, product <= Limits.byteOffsetMax,
        length <= Limits.byteOffsetMax - end
      else { throw overflow }
      byteCount = product
      end += length
    }
  }
}
