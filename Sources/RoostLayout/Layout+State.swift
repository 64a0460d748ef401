/// What a page of a state-space (Mamba) or linear-attention (GDN) layer counts: the rolling window of a convolution,
/// then the recurrent state.
public struct StateGeometry: Hashable, Sendable {
  /// Columns of the convolution that are sharded together, in the order in which they lie: Mamba-1 has x, Mamba-2 has
  /// x, B and C, GDN has Q, K and V.
  public struct Projection: Hashable, Sendable {
    /// What its axis is called; unique in the page.
    public let name: AxisName
    /// How many columns.
    public let columnCount: Int

    /// Describes a projection.
    public init(_ name: AxisName, columnCount: Int) {
      self.name = name
      self.columnCount = columnCount
    }
  }

  /// Which way the convolution's window lies.
  public enum Order: String, Hashable, Sendable, CaseIterable {
    /// Columns outside rows: the window of a column lies together, and a shard of columns too.
    case columnsOutside
    /// Rows outside columns.
    case rowsOutside
  }

  /// Pages; 1 for a single one.
  public var blockCount = 1
  /// The convolution's columns.
  public var projections: [Projection]
  /// The convolution's rows: its width less one.
  public var rowCount: Int
  /// Bytes of an element of the convolution.
  public var windowItemByteCount = 2
  /// Which way the window lies.
  public var order = Order.columnsOutside
  /// Heads of the recurrent state.
  public var headCount: Int
  /// Elements of a head.
  public var headDim: Int
  /// State elements of each element of a head.
  public var stateCount: Int
  /// Bytes of an element of the recurrent state.
  public var stateItemByteCount = 4
  /// Bytes from one page to the next, as padded to the size of the attention pages; nil: no padding.
  public var blockStrideBytes: Int?

  /// A single page of bf16 window and fp32 state; `state` is heads, elements of a head, state elements.
  public init(projections: [Projection], rowCount: Int, state: (heads: Int, dim: Int, elements: Int)) {
    self.projections = projections
    self.rowCount = rowCount
    self.headCount = state.heads
    self.headDim = state.dim
    self.stateCount = state.elements
  }
}

extension Layout {
  /// A Mamba page: a plane for each projection of the convolution, axes block, its name, `row`; then the recurrent
  /// state, axes block, head, dim, `state`. Opaque: it has no tokens and is worth something only as a whole.
  ///
  /// A rank's shard is `shard` by each projection's name and by head: that many separate runs.
  public static func state(_ geometry: StateGeometry) throws(LayoutError) -> Layout {
    guard geometry.projections.count < Limits.planeCountMax else {
      throw .limitPassed("projections", count: geometry.projections.count, limit: Limits.planeCountMax - 1)
    }
    var columns = 0
    for projection in geometry.projections {
      guard projection.columnCount >= 1, projection.columnCount <= Limits.byteOffsetMax >> 20 else {
        throw .extentInvalid(projection.name, extent: projection.columnCount)
      }
      columns += projection.columnCount
    }
    let item = geometry.windowItemByteCount
    let window = try Plane(
      physical: [PhysicalAxis("column", max(columns, 1)), PhysicalAxis("row", geometry.rowCount)],
      itemByteCount: item, offsetBytes: 0)
    let state = try Plane(
      physical: [
        PhysicalAxis(.head, geometry.headCount), PhysicalAxis(.dim, geometry.headDim),
        PhysicalAxis("state", geometry.stateCount),
      ], itemByteCount: geometry.stateItemByteCount, offsetBytes: 0)
    try window.validate()
    try state.validate()
    let windowByteCount = columns == 0 ? 0 : window.byteCount
    let block = Axis(
      .block, geometry.blockCount, strideBytes: geometry.blockStrideBytes ?? windowByteCount + state.byteCount)
    var planes: [Plane] = []
    var first = 0
    let (columnStride, rowStride) =
      geometry.order == .columnsOutside ? (geometry.rowCount * item, item) : (item, columns * item)
    for projection in geometry.projections {
      planes.append(
        Plane(
          axes: [
            block, Axis(projection.name, projection.columnCount, strideBytes: columnStride),
            Axis("row", geometry.rowCount, strideBytes: rowStride),
          ], itemByteCount: item, offsetBytes: first * columnStride))
      first += projection.columnCount
    }
    planes.append(
      Plane(axes: [block] + state.axes, itemByteCount: state.itemByteCount, offsetBytes: windowByteCount))
    return try Layout(planes: planes, isOpaque: true)
  }
}
