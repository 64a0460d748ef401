/// A layout that people know by a name, with its parameters: how the program offers the factories.
public struct NamedLayout: Sendable {
  /// One number that a named layout takes.
  public struct Parameter: Sendable {
    /// How it is written: `heads`.
    public let name: String
    /// Its value where none is given; 0 where that means "without".
    public let usual: Int
    /// What it counts.
    public let summary: String
  }

  /// Numbers by parameter name; every parameter of the layout is there.
  public typealias Values = [String: Int]

  /// How it is written: `lbhnc`.
  public let name: String
  /// The shape, and who uses it.
  public let summary: String
  /// What it takes, in the order of the shape.
  public let parameters: [Parameter]
  private let factory: @Sendable (Values) throws(LayoutError) -> Layout

  init(
    _ name: String, _ summary: String, _ parameters: [Parameter],
    factory: @escaping @Sendable (Values) throws(LayoutError) -> Layout
  ) {
    self.name = name
    self.summary = summary
    self.parameters = parameters
    self.factory = factory
  }

  /// The layout with these parameters, usual values for the others; throws for a name that it does not take.
  public func layout(_ values: Values = [:]) throws(LayoutError) -> Layout {
    var all: Values = [:]
    for parameter in parameters { all[parameter.name] = parameter.usual }
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      guard all[name] != nil else {
        let known = parameters.map(\.name).joined(separator: ", ")
        throw .parameterInvalid(name, value: value, reason: "\(self.name) takes \(known)")
      }
      guard value >= 0 else { throw .parameterInvalid(name, value: value, reason: "it must not be negative") }
      all[name] = value
    }
    return try factory(all)
  }

  /// The layout of that name, nil if there is none.
  public static func named(_ name: String) -> NamedLayout? { all.first { $0.name == name } }

  /// Every named layout.
  public static let all: [NamedLayout] = attention + packed + hostCaches + latent + state
}

// Usual values: Llama 3.1 8B (32 layers, 8 heads of 128, bf16) with 4 blocks of 16 tokens.
extension NamedLayout {
  private static let blocks = Parameter(name: "blocks", usual: 4, summary: "blocks")
  private static let layers = Parameter(name: "layers", usual: 32, summary: "layers")
  private static let tokens = Parameter(name: "tokens", usual: 16, summary: "tokens of a block")
  private static let heads = Parameter(name: "heads", usual: 8, summary: "heads that hold keys and values")
  private static let dim = Parameter(name: "dim", usual: 128, summary: "elements of a head's key, or value")
  private static let item = Parameter(name: "item", usual: 2, summary: "bytes of an element")
  private static let stride = Parameter(
    name: "stride", usual: 0, summary: "bytes from block to block; 0 for no padding")

  private static func geometry(_ values: Values) -> AttentionGeometry {
    var geometry = AttentionGeometry(
      tokensPerBlock: values["tokens"] ?? 0, headCount: values["heads"] ?? 0, headDim: values["dim"] ?? 0,
      itemByteCount: values["item"] ?? 0)
    geometry.layerCount = values["layers"] ?? 1
    geometry.blockCount = values["blocks"] ?? 1
    geometry.blockStrideBytes = values["stride"] == 0 ? nil : values["stride"]
    return geometry
  }

  private static let attention: [NamedLayout] = [
    NamedLayout("kv-first-nhd", "[2, B, N, H, D]: vLLM to 0.22", [blocks, tokens, heads, dim, item, stride]) {
      (values) throws(LayoutError) in try .keyValueFirst(geometry(values), order: .nhd)
    },
    NamedLayout("kv-first-hnd", "[2, B, H, N, D]: vLLM to 0.22", [blocks, tokens, heads, dim, item, stride]) {
      (values) throws(LayoutError) in try .keyValueFirst(geometry(values), order: .hnd)
    },
    NamedLayout(
      "blocks-first-nhd", "[B, 2, N, H, D]: FlashInfer, vLLM 0.23", [blocks, tokens, heads, dim, item, stride]
    ) {
      (values) throws(LayoutError) in try .blocksFirst(geometry(values), order: .nhd)
    },
    NamedLayout(
      "blocks-first-hnd", "[B, 2, H, N, D]: FlashInfer, vLLM 0.23", [blocks, tokens, heads, dim, item, stride]
    ) {
      (values) throws(LayoutError) in try .blocksFirst(geometry(values), order: .hnd)
    },
  ]

  private static let packed: [NamedLayout] = PackedOrder.allCases.map { order in
    let shape = order.rawValue.uppercased().map(String.init).joined(separator: ", ")
    return NamedLayout(
      order.rawValue, "[\(shape)], C = 2 D: vLLM from 0.25", [layers, blocks, heads, tokens, dim, item, stride]
    ) { (values) throws(LayoutError) in try .packed(order, geometry(values)) }
  }

  private static let hostCaches: [NamedLayout] = [
    NamedLayout("kvortex", "[2, L, B, N, H, D]: KVortex", [layers, blocks, tokens, heads, dim, item]) {
      (values) throws(LayoutError) in try .kvortex(geometry(values))
    },
    NamedLayout("kv-2ltd", "[2, L, T, H x D]: LMCache", [layers, tokens, heads, dim, item]) {
      (values) throws(LayoutError) in try .keyValueLayerToken(geometry(values))
    },
    NamedLayout("page-first", "[2, S, L, H, D]: SGLang", [tokens, layers, heads, dim, item]) {
      (values) throws(LayoutError) in try .pageFirst(geometry(values))
    },
    NamedLayout("page-head", "[2, P, H, N, L, D]: SGLang", [blocks, heads, tokens, layers, dim, item]) {
      (values) throws(LayoutError) in try .pageHead(geometry(values))
    },
  ]
}

extension NamedLayout {
  private static let pageTokens = Parameter(name: "tokens", usual: 64, summary: "tokens of a block")

  private static func records(_ values: Values, pageMultiple: Int = 1) -> RecordGeometry {
    var geometry = RecordGeometry(tokensPerBlock: values["tokens"] ?? 0)
    geometry.blockCount = values["blocks"] ?? 1
    geometry.blockStrideBytes = values["stride"] == 0 ? nil : values["stride"]
    geometry.pageMultiple = pageMultiple
    return geometry
  }

  private static let latent: [NamedLayout] = [
    NamedLayout(
      "mla", "[B, N, 576]: DeepSeek's latent attention",
      [blocks, pageTokens, Parameter(name: "dim", usual: 576, summary: "elements of a token"), item, stride]
    ) { (values) throws(LayoutError) in
      try .latent(records(values), dim: values["dim"] ?? 0, itemByteCount: values["item"] ?? 0)
    },
    NamedLayout(
      "mla-records", "[B, N, 656] bytes: DeepSeek V3.2's fp8 records",
      [blocks, pageTokens, Parameter(name: "record", usual: 656, summary: "bytes of a token"), stride]
    ) { (values) throws(LayoutError) in
      try .latentRecords(records(values), recordByteCount: values["record"] ?? 0)
    },
    NamedLayout(
      "planar-scales", "[B, (N x 576 | N x 8)] bytes: DeepSeek V4's fp8 pages, data first, then scales",
      [
        blocks, pageTokens, Parameter(name: "data", usual: 576, summary: "bytes of a token's data"),
        Parameter(name: "scales", usual: 8, summary: "bytes of a token's scales"),
        Parameter(name: "multiple", usual: 576, summary: "what the page's size is rounded up to"), stride,
      ]
    ) { (values) throws(LayoutError) in
      try .planarScales(
        records(values, pageMultiple: values["multiple"] ?? 1), dataByteCount: values["data"] ?? 0,
        scaleByteCount: values["scales"] ?? 0)
    },
  ]

  private static let state: [NamedLayout] = [
    NamedLayout(
      "mamba", "[B, (columns x rows | H x D x S)]: Mamba-2's convolution and state, opaque",
      [
        blocks, Parameter(name: "x", usual: 4096, summary: "columns of x"),
        Parameter(name: "b", usual: 1024, summary: "columns of B"),
        Parameter(name: "c", usual: 1024, summary: "columns of C"),
        Parameter(name: "rows", usual: 3, summary: "rows of the window"),
        Parameter(name: "heads", usual: 64, summary: "heads of the state"),
        Parameter(name: "dim", usual: 64, summary: "elements of a head"),
        Parameter(name: "state", usual: 128, summary: "state elements of each"), stride,
      ]
    ) { (values) throws(LayoutError) in
      var geometry = StateGeometry(
        projections: ["x", "b", "c"].map { .init(AxisName($0), columnCount: values[$0] ?? 0) },
        rowCount: values["rows"] ?? 0,
        state: (heads: values["heads"] ?? 0, dim: values["dim"] ?? 0, elements: values["state"] ?? 0))
      geometry.blockCount = values["blocks"] ?? 1
      geometry.blockStrideBytes = values["stride"] == 0 ? nil : values["stride"]
      return try .state(geometry)
    }
  ]
}
