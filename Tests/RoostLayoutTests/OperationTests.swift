import RoostLayout
import Testing

@Suite struct OperationTests {
  /// 2 blocks of 16 tokens, as one hierarchical axis; 3 heads of 4 bytes inside a token.
  private static let cache = Result {
    try Layout(
      axes: [
        Axis("tok", 2, strideBytes: 1000), Axis("tok", 16, strideBytes: 12), Axis("head", 3, strideBytes: 4),
        Axis("dim", 4, strideBytes: 1),
      ], itemByteCount: 1, offsetBytes: 100)
  }

  private func summary(_ layout: Layout) -> String {
    let plane = layout.planes[0]
    return "\(plane.offsetBytes):" + plane.axes.map { " \($0.name) \($0.extent)x\($0.strideBytes)" }.joined()
  }

  @Test(arguments: [
    (0, 16, "100: tok 1x1000 tok 16x12"), (16, 16, "1100: tok 1x1000 tok 16x12"), (20, 3, "1148: tok 1x1000 tok 3x12"),
    (0, 32, "100: tok 2x1000 tok 16x12"), (31, 1, "1280: tok 1x1000 tok 1x12"),
  ]) func narrowCountsStepsOverAllFactors(start: Int, count: Int, expected: String) throws {
    let layout = try Self.cache.get().narrow("tok", from: start, count: count)
    #expect(summary(layout) == expected + " head 3x4 dim 4x1")
  }

  @Test func narrowRefusesWhatIsNotAffineOrNotThere() throws {
    let cache = try Self.cache.get()
    #expect(throws: LayoutError.radixInvalid("tok", extent: 16, radix: 8)) {
      try cache.narrow("tok", from: 8, count: 16)
    }
    #expect(throws: LayoutError.radixInvalid("tok", extent: 16, radix: 17)) {
      try cache.narrow("tok", from: 0, count: 17)
    }
    #expect(throws: LayoutError.rangeInvalid("tok", start: 20, count: 13, extent: 32)) {
      try cache.narrow("tok", from: 20, count: 13)
    }
    #expect(throws: LayoutError.rangeInvalid("head", start: 0, count: 0, extent: 3)) {
      try cache.narrow("head", from: 0, count: 0)
    }
    #expect(throws: LayoutError.rangeInvalid("head", start: .max, count: .max, extent: 3)) {
      try cache.narrow("head", from: .max, count: .max)
    }
    #expect(throws: LayoutError.axisMissing("layer", present: ["tok", "head", "dim"])) {
      try cache.narrow("layer", from: 0, count: 1)
    }
  }

  @Test func selectRemovesAllFactors() throws {
    let cache = try Self.cache.get()
    #expect(try summary(cache.select("tok", 21)) == "1160: head 3x4 dim 4x1")
    #expect(throws: LayoutError.rangeInvalid("tok", start: 32, count: 1, extent: 32)) { try cache.select("tok", 32) }
    #expect(throws: LayoutError.rangeInvalid("tok", start: -1, count: 1, extent: 32)) { try cache.select("tok", -1) }
  }

  @Test(arguments: [
    (1, "group 2x1000 group 16x12 tok 1x12"), (4, "group 2x1000 group 4x48 tok 4x12"),
    (16, "group 2x1000 tok 16x12"), (32, "group 1x2000 tok 2x1000 tok 16x12"),
  ]) func splitMakesExactGroups(inner: Int, expected: String) throws {
    let layout = try Self.cache.get().split("tok", by: inner, outer: "group")
    #expect(summary(layout) == "100: \(expected) head 3x4 dim 4x1")
    #expect(
      try layout.rename("group", to: "tok").runs().elementsEqual(Self.cache.get().runs()), "no byte moves")
  }

  @Test func splitRefusesARadixThatDoesNotDivide() throws {
    let cache = try Self.cache.get()
    for inner in [0, -4, 5, 24, 64] {
      #expect(throws: LayoutError.radixInvalid("tok", extent: 32, radix: inner)) {
        try cache.split("tok", by: inner, outer: "group")
      }
    }
  }

  @Test func fuseJoinsOnlyWhatIsAffine() throws {
    let cache = try Self.cache.get()
    #expect(try summary(cache.fuse("head", "dim", as: "hidden")) == "100: tok 2x1000 tok 16x12 hidden 12x1")
    let named = try cache.split("tok", by: 16, outer: "block")
    #expect(throws: LayoutError.notAffine(outer: "block", inner: "tok", outerStrideBytes: 1000, innerLengthBytes: 192))
    {
      try named.fuse("block", "tok", as: "tok")
    }
    #expect(try summary(named.fuse("tok", "head", as: "row")) == "100: block 2x1000 row 48x4 dim 4x1")
    #expect(throws: LayoutError.axisCount("tok", named: 1, present: 2)) { try cache.fuse("tok", "head", as: "row") }
    #expect(throws: LayoutError.axisMissing("x", present: ["tok", "tok", "head", "dim"])) {
      try cache.fuse("head", "x", as: "row")
    }
    let single = try named.narrow("block", from: 1, count: 1)
    #expect(try summary(single.fuse("block", "tok", as: "tok")) == "1100: tok 16x12 head 3x4 dim 4x1")
  }

  @Test func permuteMovesNoByte() throws {
    let cache = try Self.cache.get()
    let turned = try cache.permute(["dim", "tok", "head"])
    #expect(summary(turned) == "100: dim 4x1 tok 2x1000 tok 16x12 head 3x4")
    #expect(try summary(cache.permute(["tok", "dim", "tok", "head"])) == "100: tok 2x1000 dim 4x1 tok 16x12 head 3x4")
    #expect(try Layout.plan(from: cache, to: turned).pieces.triples == [[100, 100, 192], [1100, 1100, 192]])
    #expect(throws: LayoutError.axisCount("head", named: 0, present: 1)) { try cache.permute(["dim", "tok"]) }
    #expect(throws: LayoutError.axisCount("dim", named: 2, present: 1)) {
      try cache.permute(["dim", "dim", "tok", "head"])
    }
  }

  @Test func shardDealsHeadsOutInOrderOfRank() throws {
    let cache = try Layout(axes: [Axis("head", 8, strideBytes: 10)], itemByteCount: 10)
    #expect(try summary(cache.shard("head", total: 8, rank: 3, size: 4)) == "60: head 2x10")
    #expect(try summary(cache.shard("head", total: 8, rank: 5, size: 16)) == "20: head 1x10")
    #expect(throws: LayoutError.shardInvalid("head", total: 8, rank: 0, size: 3)) {
      try cache.shard("head", total: 8, rank: 0, size: 3)
    }
    #expect(throws: LayoutError.shardInvalid("head", total: 8, rank: 4, size: 4)) {
      try cache.shard("head", total: 8, rank: 4, size: 4)
    }
    #expect(throws: LayoutError.shardInvalid("head", total: 4, rank: 0, size: 4)) {
      try cache.shard("head", total: 4, rank: 0, size: 4)
    }
  }

  @Test func anOpaquePageIsNotCutByToken() throws {
    let plane = Plane(
      axes: [Axis("block", 2, strideBytes: 64), Axis("token", 8, strideBytes: 8), Axis("head", 2, strideBytes: 4)],
      itemByteCount: 4)
    let page = try Layout(planes: [plane], isOpaque: true)
    let cut = LayoutError.opaqueCut("token")
    #expect(throws: cut) { try page.narrow("token", from: 0, count: 4) }
    #expect(throws: cut) { try page.select("token", 0) }
    #expect(throws: cut) { try page.split("token", by: 4, outer: "sub") }
    #expect(try page.narrow("block", from: 1, count: 1).isOpaque)
    #expect(try page.narrow("token", from: 0, count: 8) == page)
    #expect(try Layout.plan(from: page, to: page).isContiguous)
    let headsOutside = try Layout(
      axes: [Axis("block", 2, strideBytes: 64), Axis("token", 8, strideBytes: 4), Axis("head", 2, strideBytes: 32)],
      itemByteCount: 4)
    #expect(throws: cut) { try Layout.plan(from: page, to: headsOutside) }
  }

  @Test func valuesOutOfRangeAreNamed() throws {
    #expect(throws: LayoutError.extentInvalid("a", extent: 0)) {
      try Layout(axes: [Axis("a", 0, strideBytes: 1)], itemByteCount: 1)
    }
    #expect(throws: LayoutError.strideInvalid("a", strideBytes: -1)) {
      try Layout(axes: [Axis("a", 2, strideBytes: -1)], itemByteCount: 1)
    }
    #expect(throws: LayoutError.overflow("b", extent: 1 << 40, strideBytes: 1 << 40)) {
      try Layout(axes: [Axis("a", 2, strideBytes: 1), Axis("b", 1 << 40, strideBytes: 1 << 40)], itemByteCount: 1)
    }
    #expect(throws: LayoutError.overflow("b", extent: 1 << 40, strideBytes: 0)) {
      try Layout(axes: [Axis("a", 1 << 40, strideBytes: 0), Axis("b", 1 << 40, strideBytes: 0)], itemByteCount: 1)
    }
    #expect(throws: LayoutError.itemInvalid(itemByteCount: 0)) { try Layout(axes: [], itemByteCount: 0) }
    #expect(throws: LayoutError.offsetInvalid(offsetBytes: -1)) {
      try Layout(axes: [], itemByteCount: 1, offsetBytes: -1)
    }
    #expect(throws: LayoutError.self) { try Layout(axes: [], itemByteCount: .max, offsetBytes: .max) }
    #expect(throws: LayoutError.limitPassed("axes", count: 33, limit: 32)) {
      try Layout(axes: Array(repeating: Axis("a", 1, strideBytes: 1), count: 33), itemByteCount: 1)
    }
    #expect(throws: LayoutError.limitPassed("planes", count: 0, limit: 1)) { try Layout(planes: []) }
    let layout = try Layout(axes: [Axis("a", 4, strideBytes: 8)], itemByteCount: 4)
    #expect(throws: LayoutError.outOfBounds(endBytes: 28, regionByteCount: 27)) {
      try layout.checkFits(regionByteCount: 27)
    }
    try layout.checkFits(regionByteCount: 28)
    #expect(throws: LayoutError.self) { try layout.offset(byBytes: .max) }
    #expect(throws: LayoutError.offsetInvalid(offsetBytes: -8)) { try layout.offset(byBytes: -8) }
  }

  @Test func descriptorsRefuseAPayloadWithHoles() throws {
    let cache = try Self.cache.get()
    #expect(try cache.descriptors(iterating: ["tok"]).count == 32)
    #expect(try cache.descriptors(iterating: ["head", "tok"]).prefix(3).pairs == [[100, 4], [112, 4], [124, 4]])
    #expect(throws: LayoutError.notContiguous("tok", strideBytes: 1000, contiguousStrideBytes: 192)) {
      try cache.descriptors(iterating: [])
    }
    #expect(throws: LayoutError.axisMissing("x", present: ["tok", "tok", "head", "dim"])) {
      try cache.descriptors(iterating: ["x"])
    }
    #expect(throws: LayoutError.axisCount("tok", named: 2, present: 1)) {
      try cache.descriptors(iterating: ["tok", "tok"])
    }
  }

  @Test(arguments: 0..<UInt64(200)) func descriptorsAreEmittedAsTheyAreIterated(seed: UInt64) throws {
    var layouts = RandomLayouts(seed: seed)
    let axes = layouts.logicalAxes(elementCountMax: 2000)
    let planes = (0..<1 + layouts.below(3)).map { _ in
      layouts.nestedPlane(axes, item: 1 + layouts.below(4), offset: layouts.below(1000))
    }
    // All axes, so that nothing has to be contiguous.
    let descriptors = try Layout(planes: planes).descriptors(iterating: axes.map(\.name))
    let (address, device) = (UInt(layouts.below(1 << 40)), UInt(layouts.below(9)))
    let marker = Descriptor(address: 1, byteCount: 2, device: 3)
    var emitted = Array(repeating: marker, count: descriptors.count + 1)
    let count = emitted.withUnsafeMutableBufferPointer { buffer in
      descriptors.emit(
        base: address, device: device, into: UnsafeMutableBufferPointer(rebasing: buffer[..<descriptors.count]))
    }
    #expect(count == descriptors.count && emitted.last == marker)
    let iterated = descriptors.map {
      Descriptor(address: address + UInt($0.offset), byteCount: UInt($0.byteCount), device: device)
    }
    #expect(Array(emitted.dropLast()) == iterated, "seed \(seed)")
  }
}
