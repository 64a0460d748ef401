import RoostLayout
import RoostPrimitives
import Testing

@Suite struct PlanPropertyTests {
  /// Compares everything a plan says with brute force.
  private func check(_ source: Layout, _ target: Layout, _ expected: [CopyPiece], _ note: String) throws {
    let plan = try Layout.plan(from: source, to: target)
    let pieces = Array(plan.pieces)
    guard pieces == expected else {
      Issue.record("\(note): \(source) -> \(target): \(pieces) instead of \(expected)")
      return
    }
    let byTarget: (CopyPiece, CopyPiece) -> Bool = { $0.target < $1.target }
    let emitted = [CopyPiece](unsafeUninitializedCapacity: plan.pieceCount) { buffer, count in
      count = plan.emit(sourceBase: 1 << 40, targetBase: 1 << 50, into: buffer)
    }.map { CopyPiece(source: $0.source - 1 << 40, target: $0.target - 1 << 50, byteCount: $0.byteCount) }
    let expanded = plan.parts.flatMap(BruteForce.expand)
    guard emitted == expanded, plan.byteCount == source.byteCount else {
      Issue.record("\(note): \(source) -> \(target): emitted \(emitted), strided \(expanded)")
      return
    }
    var joined: [CopyPiece] = []
    for piece in emitted.sorted(by: byTarget) {
      if let last = joined.last, last.target + last.byteCount == piece.target,
        last.source + last.byteCount == piece.source
      {
        joined[joined.count - 1].byteCount += piece.byteCount
      } else {
        joined.append(piece)
      }
    }
    if joined != expected { Issue.record("\(note): \(source) -> \(target): emitted \(joined) instead of \(expected)") }
  }

  @Test func copiesExactlyWhatElementByElementCopyDoesInTheFewestPieces() throws {
    for seed in 0..<10_000 as Range<UInt64> {
      var layouts = RandomLayouts(seed: seed)
      let axes = layouts.logicalAxes(elementCountMax: 48)
      let item = [1, 2, 4].randomElement(using: &layouts.random) ?? 1
      let source = try Layout(planes: [layouts.nestedPlane(axes, item: item, offset: layouts.below(9))])
      let target = try Layout(planes: [layouts.nestedPlane(axes, item: item, offset: layouts.below(9))])
      guard let expected = BruteForce.pieces(from: source, to: target) else {
        Issue.record("seed \(seed): nested strides cannot alias")
        continue
      }
      try check(source, target, expected, "seed \(seed)")
    }
  }

  @Test func tellsAliasingTargetsFromInterleavedOnes() throws {
    var aliasing = 0
    for seed in 0..<3_000 as Range<UInt64> {
      var layouts = RandomLayouts(seed: seed)
      let axes = layouts.logicalAxes(elementCountMax: 36)
      let item = [1, 2, 4].randomElement(using: &layouts.random) ?? 1
      let planeCount = 1 + layouts.below(3) / 2
      let source = try Layout(
        planes: (0..<planeCount).map { _ in layouts.wildPlane(axes, item: item, offset: layouts.below(99)) })
      let target = try Layout(
        planes: (0..<planeCount).map { _ in layouts.wildPlane(axes, item: item, offset: layouts.below(99)) })
      guard let expected = BruteForce.pieces(from: source, to: target) else {
        aliasing += 1
        #expect(throws: LayoutError.self, "seed \(seed)") { try Layout.plan(from: source, to: target) }
        continue
      }
      try check(source, target, expected, "seed \(seed)")
    }
    #expect(aliasing > 500 && aliasing < 2_500, "both kinds occur: \(aliasing)")
  }

  @Test func runsAreTheOccupiedBytesWhateverTheStrides() throws {
    for seed in 0..<3_000 as Range<UInt64> {
      var layouts = RandomLayouts(seed: seed)
      let axes = layouts.logicalAxes(elementCountMax: 60)
      let layout = try Layout(
        planes: (0...layouts.below(2)).map { _ in layouts.wildPlane(axes, item: 2, offset: layouts.below(99)) })
      let runs = try Array(layout.runs())
      if runs != BruteForce.runs(layout) { Issue.record("seed \(seed): \(layout) has runs \(runs)") }
    }
  }
}
