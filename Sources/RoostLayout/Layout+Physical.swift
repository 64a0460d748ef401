/// An axis where it lies in memory, for layouts that are described from the outermost bytes inward.
public struct PhysicalAxis: Hashable, Sendable {
  /// What is counted.
  public let name: AxisName
  /// Steps, at least 1.
  public let extent: Int
  /// Bytes from one step to the next; nil: as many as everything inside takes, without a hole.
  public let strideBytes: Int?

  /// Describes an axis; dense unless a stride is given.
  public init(_ name: AxisName, _ extent: Int, strideBytes: Int? = nil) {
    self.name = name
    self.extent = extent
    self.strideBytes = strideBytes
  }
}

extension Layout {
  /// The layout of a tensor as frameworks describe it: shape, strides and storage offset count elements, axes stand in
  /// logical order, outermost first. Throws `shapeInvalid` if names, shape and strides differ in number.
  public static func fromTensor(
    _ names: [AxisName], shape: [Int], strides: [Int], storageOffset: Int = 0, itemByteCount: Int
  ) throws(LayoutError) -> Layout {
    guard names.count == shape.count, names.count == strides.count else {
      throw .shapeInvalid(names: names.count, extents: shape.count, strides: strides.count)
    }
    var axes: [Axis] = []
    for (index, name) in names.enumerated() {
      let (bytes, overflows) = strides[index].multipliedReportingOverflow(by: itemByteCount)
      guard !overflows else { throw .overflow(name, extent: shape[index], strideBytes: strides[index]) }
      axes.append(Axis(name, shape[index], strideBytes: bytes))
    }
    let (offset, overflows) = storageOffset.multipliedReportingOverflow(by: itemByteCount)
    guard !overflows else { throw .offsetInvalid(offsetBytes: storageOffset) }
    return try Layout(axes: axes, itemByteCount: itemByteCount, offsetBytes: offset)
  }

  /// The layout of a tensor from where its axes lie: outermost bytes first, dense where no stride is given (a page
  /// stride larger than the page makes padding). `logicalOrder` names the axes in the order that the layout shall
  /// list them; as they lie, if left out.
  public static func fromPhysical(
    _ axes: [PhysicalAxis], logicalOrder: [AxisName]? = nil, itemByteCount: Int, offsetBytes: Int = 0
  ) throws(LayoutError) -> Layout {
    let plane = try Plane(physical: axes, itemByteCount: itemByteCount, offsetBytes: offsetBytes)
    let layout = try Layout(planes: [plane])
    guard let logicalOrder else { return layout }
    return try layout.permute(logicalOrder)
  }
}

extension Plane {
  /// A plane from where its axes lie; overflow is checked, the rest when it becomes part of a layout.
  init(physical axes: [PhysicalAxis], itemByteCount: Int, offsetBytes: Int) throws(LayoutError) {
    var result: [Axis] = []
    var span = itemByteCount
    for axis in axes.reversed() {
      guard axis.extent >= 1 else { throw .extentInvalid(axis.name, extent: axis.extent) }
      let stride = axis.strideBytes ?? span
      result.append(Axis(axis.name, axis.extent, strideBytes: stride))
      let (next, overflows) = stride.multipliedReportingOverflow(by: axis.extent)
      guard !overflows else { throw .overflow(axis.name, extent: axis.extent, strideBytes: stride) }
      span = max(next, span)
    }
    self.init(axes: result.reversed(), itemByteCount: itemByteCount, offsetBytes: offsetBytes)
  }
}
