import RoostLayout
import RoostPrimitives

/// How the pages of one group are copied between a device and slots: every contiguous run of block 0, worked out once.
/// For a block the template adds the block's offset and the slot's address, about a nanosecond a run.
///
/// Immutable; may be used by any thread and any number of queues.
public final class PageTemplate: Sendable {
  /// Blocks on the device; ids go from 0.
  public let blockCount: Int
  /// The size of a slot. Copies stay within it.
  public let slotByteCount: Int
  /// Bytes that a page moves.
  public let pageByteCount: Int
  /// Contiguous runs that a page is copied in.
  public let pieceCount: Int
  /// The shortest run, in bytes.
  public let runByteCountMin: Int
  /// Whether copies go through staging memory: runs that the device is bad at become long runs on its side, and the
  /// host gathers and scatters.
  public var isStaged: Bool { staging != nil }

  /// The runs of block 0: `source` is a device address, `target` an offset in the slot.
  let runs: RunTable
  let staging: StagingPlan?
  private let efficientRunBytes: Int

  /// Works out the runs.
  ///
  /// - Parameters:
  ///   - regions: the device memory; all with the same number of blocks.
  ///   - parts: together, what of a slot is copied. Parts of one page must not share bytes of the slot.
  ///   - slotByteCount: the size of a slot. Bytes that no part covers (another rank's shard) are left alone.
  ///   - efficientRunBytes: the device's, from its description. A page with shorter runs is staged if that makes the
  ///     runs on the device's side longer.
  /// - Throws: `invalidInput` if a part lies outside its region or the slot, the layouts of a part do not have the
  ///   same axes, or two parts write the same bytes; the message says which.
  public convenience init(
    regions: [PagedRegion], parts: [PagePart], slotByteCount: Int, efficientRunBytes: Int = 0
  ) throws(RoostError) {
    try PageTemplate.check(regions)
    guard !parts.isEmpty else { throw RoostError(.invalidInput, "a page needs at least one part") }
    var runs = RunTable()
    for index in parts.indices {
      try PageTemplate.add(parts[index], number: index, of: regions, slotByteCount: slotByteCount, to: &runs)
    }
    try runs.checkDisjoint()
    self.init(
      runs, blockCount: regions[0].blockCount, slotByteCount: slotByteCount, efficientRunBytes: efficientRunBytes)
  }

  private init(_ runs: RunTable, blockCount: Int, slotByteCount: Int, efficientRunBytes: Int) {
    self.blockCount = blockCount
    self.slotByteCount = slotByteCount
    self.efficientRunBytes = efficientRunBytes
    pageByteCount = runs.byteCount
    pieceCount = runs.pieces.count
    runByteCountMin = runs.shortest
    self.runs = runs
    staging = runs.shortest < efficientRunBytes ? StagingPlan(runs) : nil
  }

  /// The same page in ranges of the slot's bytes, which are cut at `bounds`: together they copy what this template does,
  /// each byte once.
  ///
  /// - Throws: `invalidInput` if the bounds do not rise, or a range has nothing that this template copies.
  public func divided(at bounds: [Int]) throws(RoostError) -> [PageTemplate] {
    let edges = [0] + bounds + [slotByteCount]
    var ranges: [PageTemplate] = []
    for index in edges.indices.dropLast() {
      guard edges[index] < edges[index + 1] else {
        throw RoostError(
          .invalidInput,
          "a page of \(slotByteCount) bytes cannot be cut at \(bounds): the bounds have to rise within it")
      }
      let cut = runs.clamped(to: UInt(edges[index])..<UInt(edges[index + 1]))
      guard !cut.pieces.isEmpty else {
        throw RoostError(.invalidInput, "nothing of the page lies from byte \(edges[index]) to \(edges[index + 1])")
      }
      ranges.append(
        PageTemplate(
          cut, blockCount: blockCount, slotByteCount: slotByteCount, efficientRunBytes: efficientRunBytes))
    }
    return ranges
  }

  private static func check(_ regions: [PagedRegion]) throws(RoostError) {
    guard let first = regions.first else { throw RoostError(.invalidInput, "a page needs at least one region") }
    for index in regions.indices {
      let region = regions[index]
      let end = region.address.addingReportingOverflow(UInt(bitPattern: region.byteCount))
      guard region.address != 0, region.byteCount > 0, !end.overflow, region.blockStrideBytes >= 0,
        region.blockCount > 0, region.blockCount <= Int(UInt32.max)
      else {
        throw RoostError(.invalidInput, "region \(index) is empty or impossible", context: context(region))
      }
      guard region.blockCount == first.blockCount else {
        throw RoostError(
          .invalidInput, "region \(index) has \(region.blockCount) blocks where region 0 has \(first.blockCount)")
      }
    }
  }

  /// Checks the pages of a job.
  ///
  /// - Throws: `invalidInput`, which names the page, for a block that is not on the device or an impossible slot.
  func check(_ pages: UnsafeBufferPointer<PageCopy>) throws(RoostError) {
    let slotAddressMax = UInt.max - UInt(slotByteCount)
    var index = 0
    while index < pages.count {
      let page = pages[index]
      guard Int(page.block) < blockCount, page.slotAddress != 0, page.slotAddress <= slotAddressMax else {
        throw RoostError(
          .invalidInput, "page \(index) names block \(page.block) of \(blockCount), or no slot",
          context: [("slotAddress", "0x" + String(page.slotAddress, radix: 16))])
      }
      index += 1
    }
  }

  private static func add(
    _ part: PagePart, number: Int, of regions: [PagedRegion], slotByteCount: Int, to runs: inout RunTable
  ) throws(RoostError) {
    guard regions.indices.contains(part.region) else {
      throw RoostError(.invalidInput, "part \(number) names region \(part.region) of \(regions.count)")
    }
    let region = regions[part.region]
    let (lastBlock, overflow) = (region.blockCount - 1).multipliedReportingOverflow(by: region.blockStrideBytes)
    let (end, carry) = lastBlock.addingReportingOverflow(part.device.byteRange.upperBound)
    guard !overflow, !carry, end <= region.byteCount else {
      throw RoostError(
        .invalidInput, "part \(number) of the last block reaches beyond region \(part.region)",
        context: context(region) + [("pageEnd", "\(part.device.byteRange.upperBound)")])
    }
    do throws(LayoutError) {
      try part.slot.checkFits(regionByteCount: slotByteCount)
      let plan = try Layout.plan(from: part.device, to: part.slot)
      // The way back writes the device: made only to learn whether elements share bytes there.
      _ = try Layout.plan(from: part.slot, to: part.device)
      let pieceCount = plan.pieceCount.addingReportingOverflow(runs.pieces.count)
      guard !pieceCount.overflow, pieceCount.partialValue <= Limits.pieceCountMax else {
        throw LayoutError.limitPassed("runs in a page", count: plan.pieceCount, limit: Limits.pieceCountMax)
      }
      runs.append(plan, deviceAddress: region.address, blockStrideBytes: region.blockStrideBytes)
    } catch {
      throw RoostError(.invalidInput, "part \(number) of the page cannot be copied", cause: error.roostError)
    }
  }

  private static func context(_ region: PagedRegion) -> [(name: String, value: String)] {
    [
      ("bytes", "\(region.byteCount)"), ("blockStride", "\(region.blockStrideBytes)"),
      ("blocks", "\(region.blockCount)"),
    ]
  }
}
