import RoostLayout
import Testing

/// Strides worked out by hand from the shapes: B blocks, N = 4 tokens, H = 2 heads, D = 8 elements of 2 bytes.
@Suite struct FactoryTests {
  static func geometry(blocks: Int = 3, layers: Int = 1) -> AttentionGeometry {
    var geometry = AttentionGeometry(tokensPerBlock: 4, headCount: 2, headDim: 8, itemByteCount: 2)
    geometry.blockCount = blocks
    geometry.layerCount = layers
    return geometry
  }

  /// Name, extent and stride of each axis of the only plane.
  private func expect(_ layout: Layout, _ axes: [(AxisName, Int, Int)], _ note: Comment? = nil) {
    #expect(layout.planes.count == 1, note)
    #expect(layout.planes[0].axes == axes.map { Axis($0.0, $0.1, strideBytes: $0.2) }, note)
    #expect(layout.planes[0].offsetBytes == 0, note)
  }

  @Test func keysThenValuesForAllBlocks() throws {
    try expect(
      .keyValueFirst(Self.geometry(), order: .nhd),
      [("kv", 2, 384), ("block", 3, 128), ("token", 4, 32), ("head", 2, 16), ("dim", 8, 2)])
    try expect(
      .keyValueFirst(Self.geometry(), order: .hnd),
      [("kv", 2, 384), ("block", 3, 128), ("token", 4, 16), ("head", 2, 64), ("dim", 8, 2)])
  }

  @Test func keysThenValuesInEachBlock() throws {
    try expect(
      .blocksFirst(Self.geometry(), order: .nhd),
      [("block", 3, 256), ("kv", 2, 128), ("token", 4, 32), ("head", 2, 16), ("dim", 8, 2)])
    try expect(
      .blocksFirst(Self.geometry(), order: .hnd),
      [("block", 3, 256), ("kv", 2, 128), ("token", 4, 16), ("head", 2, 64), ("dim", 8, 2)])
  }

  @Test func aBlockStridePadsBlocks() throws {
    var geometry = Self.geometry()
    geometry.blockStrideBytes = 1024
    let layout = try Layout.blocksFirst(geometry, order: .hnd)
    #expect(layout.planes[0].axes[0] == Axis("block", 3, strideBytes: 1024))
    #expect(layout.byteRange == 0..<2048 + 256)
    let outside = try Layout.keyValueFirst(geometry, order: .hnd)
    #expect(outside.planes[0].axes[0] == Axis("kv", 2, strideBytes: 3 * 1024))
  }

  /// L = 5, B = 3, H = 2, N = 4, C = 16 elements of 2 bytes: a row of content has 32 bytes.
  @Test(arguments: [
    (PackedOrder.lbhnc, [768, 256, 128, 32]), (.lbnhc, [768, 256, 32, 64]), (.lhbnc, [768, 128, 384, 32]),
    (.blhnc, [256, 1280, 128, 32]), (.blnhc, [256, 1280, 32, 64]), (.bhlnc, [128, 1280, 640, 32]),
  ]) func packedOrdersHaveTheStridesOfTheirPermutation(order: PackedOrder, strides: [Int]) throws {
    let axes: [(AxisName, Int, Int)] = [
      ("layer", 5, strides[0]), ("block", 3, strides[1]), ("head", 2, strides[2]), ("token", 4, strides[3]),
      ("content", 16, 2),
    ]
    try expect(.packed(order, Self.geometry(layers: 5)), axes, "\(order)")
  }

  @Test func packedContentHoldsValuesOfAnotherSize() throws {
    var geometry = Self.geometry()
    geometry.valueDim = 4
    try expect(
      .packed(.lbhnc, geometry),
      [("layer", 1, 576), ("block", 3, 192), ("head", 2, 96), ("token", 4, 24), ("content", 12, 2)])
  }

  @Test func hostCaches() throws {
    try expect(
      .kvortex(Self.geometry(layers: 5)),
      [
        ("kv", 2, 1920), ("layer", 5, 384), ("block", 3, 128), ("token", 4, 32), ("head", 2, 16), ("dim", 8, 2),
      ])
    try expect(
      .keyValueLayerToken(Self.geometry(layers: 5)),
      [("kv", 2, 640), ("layer", 5, 128), ("token", 4, 32), ("head", 2, 16), ("dim", 8, 2)])
    try expect(
      .pageFirst(Self.geometry(layers: 5)),
      [("kv", 2, 640), ("layer", 5, 32), ("token", 4, 160), ("head", 2, 16), ("dim", 8, 2)])
    try expect(
      .pageHead(Self.geometry(layers: 5)),
      [
        ("kv", 2, 1920), ("layer", 5, 16), ("block", 3, 640), ("token", 4, 80), ("head", 2, 320), ("dim", 8, 2),
      ])
  }

  @Test func latentPages() throws {
    var geometry = RecordGeometry(tokensPerBlock: 64)
    geometry.blockCount = 3
    try expect(.latent(geometry), [("block", 3, 73728), ("token", 64, 1152), ("dim", 576, 2)])
    try expect(.latentRecords(geometry), [("block", 3, 41984), ("token", 64, 656), ("byte", 656, 1)])
    geometry.pageMultiple = 576
    try expect(
      .latentRecords(geometry, recordByteCount: 584), [("block", 3, 37440), ("token", 64, 584), ("byte", 584, 1)])
  }

  @Test func planarPagesAreTwoRunsAnySliceOfTokens() throws {
    var geometry = RecordGeometry(tokensPerBlock: 64)
    geometry.blockCount = 2
    geometry.pageMultiple = 576
    let layout = try Layout.planarScales(geometry)
    #expect(
      layout.planes == [
        Plane(
          axes: [
            Axis("block", 2, strideBytes: 37440), Axis("token", 64, strideBytes: 576),
            Axis("byte", 576, strideBytes: 1),
          ], itemByteCount: 1, offsetBytes: 0),
        Plane(
          axes: [
            Axis("block", 2, strideBytes: 37440), Axis("token", 64, strideBytes: 8), Axis("byte", 8, strideBytes: 1),
          ], itemByteCount: 1, offsetBytes: 36864),
      ])
    let slice = try layout.narrow("token", from: 16, count: 16)
    #expect(try slice.runs().pairs == [[9216, 9216], [36992, 128], [46656, 9216], [74432, 128]])
    #expect(try layout.runs().pairs == [[0, 37376], [37440, 37376]])
  }

  @Test func stateShardsAreOneRunForEachProjectionAndOneForTheHeads() throws {
    let projections: [StateGeometry.Projection] = [
      .init("x", columnCount: 8), .init("b", columnCount: 2), .init("c", columnCount: 2),
    ]
    var geometry = StateGeometry(projections: projections, rowCount: 3, state: (heads: 4, dim: 2, elements: 4))
    geometry.blockCount = 2
    let page = try Layout.state(geometry)
    #expect(page.isOpaque)
    #expect(page.planes[0].axes[0].strideBytes == 200)
    let shard = try page.shard("x", total: 8, rank: 1, size: 2).shard("b", total: 2, rank: 1, size: 2)
      .shard("c", total: 2, rank: 1, size: 2).shard("head", total: 4, rank: 1, size: 2)
    #expect(
      try shard.descriptors(iterating: ["block"]).pairs
        == [[24, 24], [224, 24], [54, 6], [254, 6], [66, 6], [266, 6], [136, 64], [336, 64]])
    geometry.order = .rowsOutside
    let transposed = try Layout.state(geometry)
    #expect(transposed.planes.map(\.offsetBytes) == [0, 16, 20, 72])
    #expect(transposed.planes[1].axes.map(\.strideBytes) == [200, 2, 24])
  }

  @Test func tensorsCountElements() throws {
    let layout = try Layout.fromTensor(
      ["block", "token", "dim"], shape: [3, 4, 8], strides: [64, 8, 1], storageOffset: 5, itemByteCount: 2)
    #expect(layout.planes[0].axes.map(\.strideBytes) == [128, 16, 2])
    #expect(layout.planes[0].offsetBytes == 10)
    #expect(throws: LayoutError.shapeInvalid(names: 1, extents: 2, strides: 1)) {
      try Layout.fromTensor(["a"], shape: [1, 2], strides: [1], itemByteCount: 2)
    }
    #expect(throws: LayoutError.overflow("a", extent: 2, strideBytes: .max)) {
      try Layout.fromTensor(["a"], shape: [2], strides: [.max], itemByteCount: 2)
    }
    #expect(throws: LayoutError.overflow("a", extent: .max, strideBytes: 2)) {
      try Layout.fromPhysical([PhysicalAxis("a", .max)], itemByteCount: 2)
    }
  }

  @Test(arguments: NamedLayout.all.map(\.name)) func everyNamedLayoutIsDenseAndRefusesWhatItDoesNotTake(
    name: String
  ) throws {
    let named = try #require(NamedLayout.named(name))
    let layout = try named.layout()
    #expect(layout.byteRange.lowerBound == 0)
    #expect(try layout.runs().reduce(0) { $0 + $1.byteCount } == layout.byteCount)
    #expect(try Layout.plan(from: layout, to: layout).pieces.reduce(0) { $0 + Int($1.byteCount) } == layout.byteCount)
    #expect(throws: LayoutError.self) { try named.layout(["nonsense": 1]) }
    for parameter in named.parameters where !["stride", "multiple"].contains(parameter.name) {
      #expect(throws: LayoutError.self, "\(name) \(parameter.name)") { try named.layout([parameter.name: 0]) }
      #expect(throws: LayoutError.self, "\(name) \(parameter.name)") { try named.layout([parameter.name: .max]) }
    }
  }
}
