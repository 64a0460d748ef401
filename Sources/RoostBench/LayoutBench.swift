import RoostLayout
import RoostPrimitives

/// The layout algebra: how fast descriptors come out, and how long a plan takes.
enum LayoutBench {
  /// `roost bench layout`.
  static let bench = Bench(name: "layout", summary: "plans between cache layouts, and the copy descriptors they emit") {
    (scale) throws(RoostError) in
    try emission(scale) + planning(scale)
  }

  /// A pair of layouts under a name.
  private struct Pair {
    let name: String
    let source: Layout
    let target: Layout

    func plan() throws(RoostError) -> CopyPlan {
      try LayoutError.translated { () throws(LayoutError) in try Layout.plan(from: source, to: target) }
    }
  }

  /// Llama 3.3 70B: 80 layers, 8 heads of 128 elements of 2 bytes, blocks of 16 tokens; `blockCount` blocks.
  private static func geometry(layers: Int = 80, tokens: Int = 16, blocks: Int = 1) -> AttentionGeometry {
    var geometry = AttentionGeometry(tokensPerBlock: tokens, headCount: 8, headDim: 128, itemByteCount: 2)
    geometry.layerCount = layers
    geometry.blockCount = blocks
    return geometry
  }

  // MARK: Emission

  /// Pieces a second into one buffer that is used again and again, as a transfer does.
  private static func emission(_ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    var results: [BenchResult] = []
    for pair in try LayoutError.translated(emissionPairs) { results.append(try emission(pair, scale)) }
    return results
  }

  private static func emissionPairs() throws(LayoutError) -> [Pair] {
    let page = geometry()
    return [
      Pair(
        name: "emit/heads outside to tokens outside", source: try .packed(.lbhnc, page),
        target: try .packed(.lbnhc, page)),
      Pair(
        name: "emit/quarter of the heads, tokens outside",
        source: try .packed(.lbnhc, page).shard(.head, total: 8, rank: 1, size: 4),
        target: try .packed(.bhlnc, page).shard(.head, total: 8, rank: 1, size: 4)),
      Pair(
        name: "emit/keys first to packed", source: try .kvortex(page),
        target: try .packed(.blhnc, page).split(.content, by: 128, outer: .keyValue).rename(.content, to: .dim)),
      Pair(
        name: "emit/one loop of 65536",
        source: try Layout(axes: [Axis(.block, 65536, strideBytes: 8192)], itemByteCount: 2048),
        target: try Layout(axes: [Axis(.block, 65536, strideBytes: 4096)], itemByteCount: 2048)),
    ]
  }

  private static func emission(_ pair: Pair, _ scale: BenchScale) throws(RoostError) -> BenchResult {
    let plan = try pair.plan()
    let buffer = UnsafeMutableBufferPointer<CopyPiece>.allocate(capacity: plan.pieceCount)
    defer { buffer.deallocate() }
    let bytes = UnsafeMutableRawBufferPointer(buffer)
    let callCount = max(1, (scale == .smoke ? 1 << 19 : 1 << 21) / plan.pieceCount)
    let millions = Double(callCount * plan.pieceCount) / 1e6
    var samples: [Double] = []
    var ratios: [Double] = []
    for sample in 0...(scale == .smoke ? 3 : 51) {
      let seconds = try Sampling.seconds { () throws(RoostError) in
        for call in 0..<callCount { plan.emit(sourceBase: UInt(call) << 12, targetBase: 64, into: buffer) }
      }
      let fillSeconds = try Sampling.seconds { () throws(RoostError) in
        for call in 0..<callCount { bytes.initializeMemory(as: UInt8.self, repeating: UInt8(call & 255)) }
      }
      guard sample > 0 else { continue }  // warms up
      samples.append(millions / seconds)
      ratios.append(fillSeconds / seconds)
    }
    return BenchResult(
      name: pair.name, unit: "M/s", samples: samples, reference: "memset of the same bytes", ratios: ratios)
  }

  // MARK: Planning

  /// Microseconds a plan, from two layouts that are there.
  private static func planning(_ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    var results: [BenchResult] = []
    for pair in try LayoutError.translated(planningPairs) { results.append(try planning(pair, scale)) }
    return results
  }

  private static func planningPairs() throws(LayoutError) -> [Pair] {
    let page = geometry(layers: 1)
    return [
      Pair(name: "plan/same layout", source: try .packed(.lbhnc, page), target: try .packed(.lbhnc, page)),
      Pair(
        name: "plan/heads outside to tokens outside", source: try .packed(.lbhnc, page),
        target: try .packed(.lbnhc, page)),
      Pair(
        name: "plan/blocks of 16 to blocks of 32",
        source: try .packed(.lbhnc, geometry(layers: 1, blocks: 8)).rename(.block, to: .token),
        target: try .packed(.lbhnc, geometry(layers: 1, tokens: 32, blocks: 4)).rename(.block, to: .token)),
      Pair(
        name: "plan/blocks of 16 to blocks of 24",
        source: try .packed(.lbhnc, geometry(layers: 1, blocks: 6)).rename(.block, to: .token),
        target: try .packed(.lbhnc, geometry(layers: 1, tokens: 24, blocks: 4)).rename(.block, to: .token)),
      Pair(
        name: "plan/80 layers in one region", source: try .packed(.lbhnc, geometry()),
        target: try .packed(.bhlnc, geometry())),
      Pair(
        name: "plan/80 layers in 80 regions", source: try layerRegions(distance: 1 << 30, .lbnhc),
        target: try layerRegions(distance: 1 << 16, .lbhnc)),
      Pair(
        name: "plan/80 layers in 80 scattered regions",
        source: try layerRegions(distance: 1 << 30, .lbnhc, jitter: 4096),
        target: try layerRegions(distance: 1 << 16, .lbhnc)),
    ]
  }

  /// 80 planes, one a layer; `jitter` moves each by a multiple that has no pattern.
  private static func layerRegions(
    distance: Int, _ order: PackedOrder, jitter: Int = 0
  ) throws(LayoutError) -> Layout {
    let layer = try Layout.packed(order, geometry(layers: 1))
    var random = SplitMix64(seed: 1)
    var planes: [Plane] = []
    for index in 0..<80 {
      let offset = index * distance + jitter * Int.random(in: 0..<1000, using: &random)
      planes += try layer.offset(byBytes: offset).planes
    }
    return try Layout(planes: planes)
  }

  private static func planning(_ pair: Pair, _ scale: BenchScale) throws(RoostError) -> BenchResult {
    let callCount = scale == .smoke ? 100 : 2_000
    var pieceCount = 0
    let result = try Sampling.time(
      name: pair.name, unit: "us", operationCount: callCount, sampleCount: scale == .smoke ? 3 : 15
    ) { () throws(RoostError) in
      for _ in 0..<callCount { pieceCount &+= try pair.plan().pieceCount }
    }
    precondition(pieceCount > 0, "every plan copies something")
    return result
  }
}
