import RoostPrimitives

/// What is wrong with a layout or an operation on it. Every case carries the axis and the values that are at odds.
public enum LayoutError: Error, Hashable, Sendable {
  /// No axis of this name; `present` are the names there are.
  case axisMissing(AxisName, present: [AxisName])
  /// A permutation names this axis a number of times that differs from the layout's.
  case axisCount(AxisName, named: Int, present: Int)
  /// An extent below 1.
  case extentInvalid(AxisName, extent: Int)
  /// A stride below 0.
  case strideInvalid(AxisName, strideBytes: Int)
  /// An item size below 1.
  case itemInvalid(itemByteCount: Int)
  /// An offset below 0.
  case offsetInvalid(offsetBytes: Int)
  /// Names, extents and strides differ in number.
  case shapeInvalid(names: Int, extents: Int, strides: Int)
  /// Steps `start ..< start + count` are not all within the axis.
  case rangeInvalid(AxisName, start: Int, count: Int, extent: Int)
  /// The radix neither divides nor is divided by the axis' factors, so that the result would not be affine.
  case radixInvalid(AxisName, extent: Int, radix: Int)
  /// The two axes cannot become one: the outer stride is not the length of the inner axis.
  case notAffine(outer: AxisName, inner: AxisName, outerStrideBytes: Int, innerLengthBytes: Int)
  /// The payload of a descriptor has a hole (or overlaps) at this axis.
  case notContiguous(AxisName, strideBytes: Int, contiguousStrideBytes: Int)
  /// Heads cannot be dealt out: of `total`, rank `rank` of `size`.
  case shardInvalid(AxisName, total: Int, rank: Int, size: Int)
  /// An axis has another extent on the other side of a plan.
  case extentMismatch(AxisName, source: Int, target: Int)
  /// The items of two planes differ in size.
  case itemMismatch(plane: Int, source: Int, target: Int)
  /// The two sides have different numbers of planes.
  case planeCountMismatch(source: Int, target: Int)
  /// The page is opaque and would be cut, or rearranged, along this axis.
  case opaqueCut(AxisName)
  /// Two elements of the target share a byte, the first of them in this plane.
  case targetAliases(plane: Int, axes: [AxisName])
  /// The layout ends after the region it is meant for.
  case outOfBounds(endBytes: Int, regionByteCount: Int)
  /// A product or sum is too large to be an address; the axis at which it happened and its values.
  case overflow(AxisName, extent: Int, strideBytes: Int)
  /// A named limit was passed.
  case limitPassed(String, count: Int, limit: Int)
  /// A parameter of a named layout is unknown, missing or out of range.
  case parameterInvalid(String, value: Int, reason: String)
}

extension LayoutError: CustomStringConvertible {
  /// One line: what is wrong, with the axis and the values.
  public var description: String {
    switch self {
    case .axisMissing, .axisCount, .extentInvalid, .strideInvalid, .itemInvalid, .offsetInvalid, .shapeInvalid,
      .rangeInvalid, .overflow, .outOfBounds, .limitPassed, .parameterInvalid:
      return valueDescription
    default:
      return structureDescription
    }
  }

  /// Errors in single values.
  private var valueDescription: String {
    switch self {
    case .axisMissing(let axis, let present):
      "no axis '\(axis)'; there are \(present.map { "'\($0)'" }.joined(separator: ", "))"
    case .axisCount(let axis, let named, let present):
      "axis '\(axis)' is named \(named) times but there are \(present) of it"
    case .extentInvalid(let axis, let extent): "axis '\(axis)' has extent \(extent); it must be at least 1"
    case .strideInvalid(let axis, let stride): "axis '\(axis)' has a stride of \(stride) bytes; it must not be negative"
    case .itemInvalid(let count): "an item of \(count) bytes; it must have at least 1"
    case .offsetInvalid(let offset): "an offset of \(offset) bytes; it must not be negative"
    case .shapeInvalid(let names, let extents, let strides):
      "\(names) names, \(extents) extents and \(strides) strides; there must be as many of each"
    case .rangeInvalid(let axis, let start, let count, let extent):
      "axis '\(axis)' has \(extent) steps; \(count) from step \(start) are not all within"
    case .overflow(let axis, let extent, let stride):
      "axis '\(axis)' with extent \(extent) and a stride of \(stride) bytes makes the layout larger than 2^60 bytes"
    case .outOfBounds(let end, let region): "the layout ends at byte \(end) of a region of \(region) bytes"
    case .limitPassed(let what, let count, let limit): "\(count) \(what), more than the limit of \(limit)"
    case .parameterInvalid(let name, let value, let reason): "parameter '\(name)' = \(value): \(reason)"
    default: ""
    }
  }

  /// Errors in how things fit together.
  private var structureDescription: String {
    switch self {
    case .radixInvalid(let axis, let extent, let radix):
      "axis '\(axis)' of extent \(extent) cannot be cut by \(radix): neither divides the other"
    case .notAffine(let outer, let inner, let stride, let length):
      "axes '\(outer)' and '\(inner)' do not fuse: '\(outer)' strides \(stride) bytes, '\(inner)' is \(length) bytes long"
    case .notContiguous(let axis, let stride, let expected):
      "the payload is not contiguous: axis '\(axis)' strides \(stride) bytes where \(expected) would be contiguous"
    case .shardInvalid(let axis, let total, let rank, let size):
      "axis '\(axis)': \(total) cannot be dealt out to rank \(rank) of \(size): one must divide the other, "
        + "rank must be below size, and the axis must have all \(total)"
    case .extentMismatch(let axis, let source, let target):
      "axis '\(axis)' has extent \(source) in the source but \(target) in the target"
    case .itemMismatch(let plane, let source, let target):
      "items of plane \(plane) have \(source) bytes in the source but \(target) in the target"
    case .planeCountMismatch(let source, let target): "the source has \(source) planes but the target \(target)"
    case .opaqueCut(let axis): "the page is opaque: it must not be cut or rearranged along axis '\(axis)'"
    case .targetAliases(let plane, let axes):
      "the target aliases itself: elements of plane \(plane) share bytes with others "
        + "(axes \(axes.map { "'\($0)'" }.joined(separator: ", ")))"
    default: ""
    }
  }

  /// The same as the error that other modules speak: code `invalidInput`, this description as the message.
  public var roostError: RoostError { RoostError(.invalidInput, description) }

  /// What `body` returns; its error becomes the `RoostError` that other modules speak.
  public static func translated<Value>(_ body: () throws(LayoutError) -> Value) throws(RoostError) -> Value {
    do throws(LayoutError) { return try body() } catch { throw error.roostError }
  }
}
