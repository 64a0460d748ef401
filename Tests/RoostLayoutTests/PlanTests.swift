import RoostLayout
import RoostPrimitives
import Testing

@Suite struct PlanTests {
  private func layout(_ axes: [(AxisName, Int, Int)], item: Int = 1, offset: Int = 0) throws -> Layout {
    try Layout(
      axes: axes.map { Axis($0.0, $0.1, strideBytes: $0.2) }, itemByteCount: item, offsetBytes: offset)
  }

  /// Pages of 16 tokens into pages of 24, one after another, each page padded by 100 bytes.
  @Test func cutsRadicesThatDoNotDivideAtTheBoundariesOfBoth() throws {
    let source = try layout([("tok", 6, 164), ("tok", 16, 4)], item: 4)
    let target = try layout([("tok", 4, 196), ("tok", 24, 4)], item: 4)
    let plan = try Layout.plan(from: source, to: target)
    #expect(plan.parts.count == 3, "16 and 16 from the ends of a period, and twice 8 from its middle")
    #expect(
      plan.pieces.triples == [
        [0, 0, 64], [164, 64, 32], [196, 196, 32], [328, 228, 64], [492, 392, 64], [656, 456, 32], [688, 588, 32],
        [820, 620, 64],
      ])
    #expect(plan.pieces.triples == BruteForce.pieces(from: source, to: target)?.triples)
  }

  @Test func everyPairOfRadicesAgreesWithBruteForce() throws {
    for inner in 1...12 {
      for outer in 1...12 {
        let total = inner * outer
        for other in 1...total where total % other == 0 {
          let source = try layout([("head", 2, 500), ("tok", outer, inner + 1), ("tok", inner, 1)])
          let target = try layout([("tok", total / other, 2 * other + 3), ("tok", other, 2), ("head", 2, 1)])
          let plan = try Layout.plan(from: source, to: target)
          #expect(plan.pieces.elementsEqual(BruteForce.pieces(from: source, to: target) ?? []))
        }
      }
    }
  }

  /// Factors from the outermost inward. In the last two, the period that fits one side's larger units grows by the
  /// other's, and has to be compared with the first again.
  @Test(arguments: [
    ([2, 4, 3], [3, 8]), ([2, 3], [3, 2]), ([3, 6, 2], [4, 3, 3]), ([4, 3, 3], [3, 6, 2]),
    ([5, 3, 6, 2], [4, 5, 3, 3]),
  ]) func factorsThatMeetLateAgreeWithBruteForce(source: [Int], target: [Int]) throws {
    func axes(_ factors: [Int], _ hole: Int) -> [(AxisName, Int, Int)] {
      var span = 1
      return factors.reversed().map { factor in
        defer { span = span * factor + hole }
        return ("tok", factor, span)
      }.reversed()
    }
    let source = try layout(axes(source, 1))
    let target = try layout(axes(target, 2))
    let plan = try Layout.plan(from: source, to: target)
    #expect(plan.pieces.triples == BruteForce.pieces(from: source, to: target)?.triples)
  }

  @Test func layersInSeparateRegionsBecomeOneLoop() throws {
    func planes(_ distance: Int, _ tokenStride: Int, _ headStride: Int) -> [Plane] {
      (0..<80).map { layer in
        Plane(
          axes: [Axis("token", 16, strideBytes: tokenStride), Axis("head", 8, strideBytes: headStride)],
          itemByteCount: 256, offsetBytes: layer * distance)
      }
    }
    let source = try Layout(planes: planes(1 << 20, 2048, 256))
    let target = try Layout(planes: planes(1 << 15, 256, 4096))
    let plan = try Layout.plan(from: source, to: target)
    #expect(plan.parts.count == 1)
    #expect(plan.parts[0].loops.count == 3)
    #expect(plan.pieceCount == 80 * 16 * 8)
    #expect(plan.pieces.elementsEqual(BruteForce.pieces(from: source, to: target) ?? []))
  }

  @Test func planesAtIrregularPlacesStayParts() throws {
    func planes(_ offsets: [Int]) -> [Plane] {
      offsets.map { Plane(axes: [Axis("token", 4, strideBytes: 16)], itemByteCount: 8, offsetBytes: $0) }
    }
    let source = try Layout(planes: planes([0, 100, 250, 300, 350, 1000, 900]))
    let target = try Layout(planes: planes([900, 800, 700, 600, 500, 400, 0]))
    let plan = try Layout.plan(from: source, to: target)
    #expect(plan.pieces.elementsEqual(BruteForce.pieces(from: source, to: target) ?? []))
  }

  @Test func readsMayRepeatButWritesMustNot() throws {
    let source = try layout([("head", 4, 0), ("dim", 8, 1)])
    let target = try layout([("head", 4, 8), ("dim", 8, 1)])
    #expect(
      try Layout.plan(from: source, to: target).pieces.triples == [[0, 0, 8], [0, 8, 8], [0, 16, 8], [0, 24, 8]])
    #expect(throws: LayoutError.targetAliases(plane: 0, axes: ["head", "dim"])) {
      try Layout.plan(from: target, to: source)
    }
    let overlapping = try Layout(planes: [
      Plane(axes: [Axis("dim", 8, strideBytes: 2)], itemByteCount: 1, offsetBytes: 0),
      Plane(axes: [Axis("dim", 8, strideBytes: 2)], itemByteCount: 1, offsetBytes: 14),
    ])
    #expect(throws: LayoutError.targetAliases(plane: 0, axes: ["dim"])) {
      try Layout.plan(from: overlapping, to: overlapping)
    }
  }

  @Test func sidesThatDoNotMatchAreNamed() throws {
    let source = try layout([("token", 4, 8), ("dim", 8, 1)])
    #expect(throws: LayoutError.extentMismatch("token", source: 4, target: 5)) {
      try Layout.plan(from: source, to: layout([("token", 5, 8), ("dim", 8, 1)]))
    }
    #expect(throws: LayoutError.axisMissing("head", present: ["token", "dim"])) {
      try Layout.plan(from: source, to: layout([("token", 4, 16), ("head", 2, 8), ("dim", 8, 1)]))
    }
    #expect(throws: LayoutError.extentMismatch("token", source: 4, target: 1)) {
      try Layout.plan(from: source, to: layout([("dim", 8, 1)]))
    }
    #expect(throws: LayoutError.itemMismatch(plane: 0, source: 1, target: 2)) {
      try Layout.plan(from: source, to: layout([("token", 4, 16), ("dim", 8, 2)], item: 2))
    }
    #expect(throws: LayoutError.planeCountMismatch(source: 1, target: 2)) {
      try Layout.plan(from: source, to: Layout(planes: source.planes + source.planes))
    }
    #expect(
      try Layout.plan(from: source, to: layout([("head", 1, 99), ("token", 4, 8), ("dim", 8, 1)])).isContiguous,
      "an axis of extent 1 may be missing")
  }

  @Test func limitsAreErrorsNotHangs() throws {
    let odd = try layout([("tok", 65537, 65539), ("tok", 65539, 1)])
    let other = try layout([("tok", 65539, 65537), ("tok", 65537, 1)])
    #expect(throws: LayoutError.self) { try Layout.plan(from: odd, to: other) }
    let interleaved = try layout([("a", 1 << 20, (1 << 20) - 2), ("b", 1 << 20, (1 << 20) + 1)])
    #expect(throws: LayoutError.self) { try Layout.plan(from: interleaved, to: interleaved) }
    let combs = try Layout(
      planes: (0..<2000).map {
        Plane(axes: [Axis("a", 9, strideBytes: 1 << 20 + $0 % 2)], itemByteCount: 1, offsetBytes: 16 * $0)
      })
    #expect(throws: LayoutError.self) { try Layout.plan(from: combs, to: combs) }
    let primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37]
    let tangled = try layout(primes.enumerated().map { (AxisName("a\($0.offset)"), $0.element, 1_000_003 + $0.offset) })
    #expect(throws: LayoutError.self) { try Layout.plan(from: tangled, to: tangled) }
  }

  /// Inner loops shorter and longer than the template, and than a fraction of it.
  @Test(arguments: [1, 2, 3, 5, 8, 64, 255, 256, 257, 300, 1000]) func emissionDoesNotDependOnTheTemplate(
    inner: Int
  ) throws {
    for outer in [1, 2, 3, 7, 100, 300] {
      let source = try layout([("a", 3, 10_000_000), ("b", outer, 30_000), ("c", inner, 24)], item: 8)
      let target = try layout([("b", outer, 60_000), ("a", 3, 20_000_000), ("c", inner, 40)], item: 8)
      let plan = try Layout.plan(from: source, to: target)
      let expected = plan.parts.flatMap(BruteForce.expand)
      let emitted = [CopyPiece](unsafeUninitializedCapacity: plan.pieceCount + 1) { buffer, count in
        buffer[plan.pieceCount] = CopyPiece(source: 7, target: 7, byteCount: 7)
        #expect(plan.emit(sourceBase: 0, targetBase: 0, into: buffer) == plan.pieceCount)
        count = plan.pieceCount + 1
      }
      let agrees = emitted.dropLast() == expected[...]  // a comparison inside #expect would print all of both
      #expect(agrees, "\(inner) in \(outer)")
      #expect(emitted.last == CopyPiece(source: 7, target: 7, byteCount: 7), "wrote past the end")
    }
  }

  @Test func rangesBoundWhatIsReadAndWritten() throws {
    let source = try layout([("block", 3, 100), ("dim", 8, 1)], offset: 50)
    let target = try layout([("block", 3, 8), ("dim", 8, 1)], offset: 7)
    let plan = try Layout.plan(from: source, to: target)
    #expect(plan.sourceRange == 50..<258)
    #expect(plan.targetRange == 7..<31)
    #expect(plan.runMin == 8)
  }
}
