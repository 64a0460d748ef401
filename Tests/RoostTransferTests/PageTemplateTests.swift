import RoostLayout
import RoostPrimitives
import Testing

@testable import RoostTransfer

@Suite struct PageTemplateTests {
  private func bytes(_ count: Int, at offset: Int = 0) throws -> Layout {
    try Layout(axes: [Axis(.byte, count, strideBytes: 1)], itemByteCount: 1, offsetBytes: offset)
  }

  private func region(_ byteCount: Int, stride: Int = 100, count: Int = 10) -> PagedRegion {
    PagedRegion(address: 4096, byteCount: byteCount, blockStrideBytes: stride, blockCount: count)
  }

  private func error(
    _ regions: [PagedRegion], _ parts: [PagePart], slotByteCount: Int = 100
  ) -> RoostError? {
    #expect(throws: RoostError.self) {
      _ = try PageTemplate(regions: regions, parts: parts, slotByteCount: slotByteCount)
    }
  }

  @Test func countsRunsAndBytesOfAPage() throws {
    let rows = try Layout(
      axes: [Axis(.token, 4, strideBytes: 20), Axis(.byte, 10, strideBytes: 1)], itemByteCount: 1)
    let dense = try Layout(
      axes: [Axis(.token, 4, strideBytes: 10), Axis(.byte, 10, strideBytes: 1)], itemByteCount: 1)
    let template = try PageTemplate(
      regions: [region(1000)], parts: [PagePart(region: 0, device: rows, slot: dense)], slotByteCount: 40)
    #expect(template.pieceCount == 4)
    #expect(template.pageByteCount == 40)
    #expect(template.runByteCountMin == 10)
    #expect(!template.isStaged)
  }

  @Test func stagesOnlyWhereThatMakesTheDeviceRunsLonger() throws {
    let rows = try Layout(
      axes: [Axis(.token, 4, strideBytes: 20), Axis(.byte, 10, strideBytes: 1)], itemByteCount: 1)
    let dense = try Layout(
      axes: [Axis(.token, 4, strideBytes: 10), Axis(.byte, 10, strideBytes: 1)], itemByteCount: 1)
    func isStaged(_ device: Layout, _ slot: Layout, _ efficientRunBytes: Int) throws -> Bool {
      try PageTemplate(
        regions: [region(1000)], parts: [PagePart(region: 0, device: device, slot: slot)], slotByteCount: 100,
        efficientRunBytes: efficientRunBytes
      ).isStaged
    }
    #expect(try isStaged(dense, rows, 11))
    #expect(try !isStaged(dense, rows, 10))
    #expect(try !isStaged(rows, dense, 1000), "the device's own runs are short")
    #expect(try !isStaged(dense, dense, 1000), "there is one run already")
  }

  @Test func refusesAPartThatReachesBeyondItsRegion() throws {
    let part = PagePart(region: 0, device: try bytes(100), slot: try bytes(100))
    #expect(error([region(999)], [part])?.code == .invalidInput)
    #expect(error([region(1000, stride: 101)], [part])?.message.contains("beyond region 0") == true)
    #expect(error([region(1000, stride: .max / 2)], [part])?.code == .invalidInput)
    _ = try PageTemplate(regions: [region(1000)], parts: [part], slotByteCount: 100)
  }

  @Test func refusesAPartThatReachesBeyondTheSlot() throws {
    let part = PagePart(region: 0, device: try bytes(100), slot: try bytes(100))
    #expect(error([region(1000)], [part], slotByteCount: 99)?.code == .invalidInput)
  }

  @Test func refusesPartsThatShareBytes() throws {
    let first = PagePart(region: 0, device: try bytes(50), slot: try bytes(50))
    let second = PagePart(region: 0, device: try bytes(50, at: 50), slot: try bytes(50, at: 49))
    #expect(error([region(1000)], [first, second])?.message.contains("of the slot") == true)
    let third = PagePart(region: 0, device: try bytes(50, at: 49), slot: try bytes(50, at: 50))
    #expect(error([region(1000)], [first, third])?.message.contains("on the device") == true)
  }

  @Test func refusesADeviceLayoutWhoseElementsShareBytes() throws {
    let shared = try Layout(
      axes: [Axis(.head, 4, strideBytes: 0), Axis(.byte, 10, strideBytes: 1)], itemByteCount: 1)
    let dense = try Layout(
      axes: [Axis(.head, 4, strideBytes: 10), Axis(.byte, 10, strideBytes: 1)], itemByteCount: 1)
    #expect(error([region(1000)], [PagePart(region: 0, device: shared, slot: dense)])?.code == .invalidInput)
  }

  @Test func refusesLayoutsOfDifferentAxesAndNamesThePart() throws {
    let part = PagePart(region: 0, device: try bytes(100), slot: try bytes(90))
    let error = error([region(1000)], [part])
    #expect(error?.message.contains("part 0") == true)
    #expect(error?.causes.isEmpty == false)
  }

  @Test func refusesImpossibleRegions() throws {
    let part = PagePart(region: 0, device: try bytes(100), slot: try bytes(100))
    let bad = [
      PagedRegion(address: 0, byteCount: 1000, blockStrideBytes: 100, blockCount: 10),
      PagedRegion(address: .max - 10, byteCount: 1000, blockStrideBytes: 100, blockCount: 10),
      PagedRegion(address: 4096, byteCount: -1, blockStrideBytes: 100, blockCount: 10),
      PagedRegion(address: 4096, byteCount: 1000, blockStrideBytes: -100, blockCount: 10),
      PagedRegion(address: 4096, byteCount: 1000, blockStrideBytes: 100, blockCount: 0),
      PagedRegion(address: 4096, byteCount: 1000, blockStrideBytes: 0, blockCount: .max),
    ]
    for region in bad { #expect(error([region], [part])?.code == .invalidInput, "\(region)") }
    #expect(error([], [part])?.code == .invalidInput)
    #expect(error([region(1000)], [])?.code == .invalidInput)
    #expect(
      error([region(1000)], [PagePart(region: 1, device: try bytes(1), slot: try bytes(1))])?.code == .invalidInput)
    #expect(error([region(1000), region(1000, count: 9)], [part])?.message.contains("9 blocks") == true)
  }

  @Test func refusesAPageOfTooManyRuns() throws {
    let columns = try Layout(
      axes: [Axis(.token, 1 << 12, strideBytes: 1), Axis(.dim, 1 << 12, strideBytes: 1 << 12)], itemByteCount: 1)
    let rows = try Layout(
      axes: [Axis(.token, 1 << 12, strideBytes: 1 << 12), Axis(.dim, 1 << 12, strideBytes: 1)], itemByteCount: 1)
    let error = error(
      [region(1 << 24, stride: 1 << 24, count: 1)], [PagePart(region: 0, device: columns, slot: rows)],
      slotByteCount: 1 << 24)
    #expect(error?.code == .invalidInput)
  }

  @Test func rangesOfAPageCopyEveryByteOfItOnceAndWhereThePageDoes() throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    for _ in 0..<50 {
      // Rows of ten bytes, scattered on the device and in the slot.
      let rows = Array(0..<12).shuffled(using: &random).prefix(Int.random(in: 4...12, using: &random))
      let parts = try rows.enumerated().map { place, row in
        PagePart(region: place % 2, device: try bytes(10, at: place * 13), slot: try bytes(10, at: row * 10))
      }
      let regions = [
        region(4000, stride: 200), PagedRegion(address: 65536, byteCount: 4000, blockStrideBytes: 170, blockCount: 10),
      ]
      let template = try PageTemplate(regions: regions, parts: parts, slotByteCount: 120)
      let copied = Dictionary(uniqueKeysWithValues: moves(template))
      let bounds = (1..<120).shuffled(using: &random).prefix(3).sorted()
      let edges = [0] + bounds + [120]
      let isEmpty = edges.indices.dropLast().contains { index in
        !copied.keys.contains { edges[index]..<edges[index + 1] ~= Int($0) }
      }
      guard !isEmpty else {
        #expect(throws: RoostError.self) { _ = try template.divided(at: bounds) }
        continue
      }
      let ranges = try template.divided(at: bounds)
      for (index, range) in ranges.enumerated() {
        #expect(moves(range).allSatisfy { edges[index]..<edges[index + 1] ~= Int($0.0) })
      }
      let all = ranges.flatMap { moves($0) }
      #expect(all.count == copied.count)
      #expect(Dictionary(all) { left, _ in left } == copied)
      #expect(ranges.map(\.pageByteCount).reduce(0, +) == template.pageByteCount)
    }
  }

  /// Every byte of the slot that is copied, with the device's address in block 1.
  private func moves(_ template: PageTemplate) -> [(UInt, UInt)] {
    template.runs.stretches.flatMap { stretch in
      template.runs.pieces[stretch.range].flatMap { piece in
        (0..<piece.byteCount).map { (piece.target + $0, piece.source + $0 + stretch.blockStrideBytes) }
      }
    }
  }
}
