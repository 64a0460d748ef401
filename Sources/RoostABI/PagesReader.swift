import CRoostABI
import RoostConsole
import RoostDevice
import RoostEngine
import RoostLayout
import RoostLayoutText
import RoostPrimitives
import RoostTransfer

/// Makes a page template of the regions and parts that a caller describes.
enum PagesReader {
  static func template(
    _ pages: roost_pages, slotByteCount: Int, _ device: any Device
  ) throws(RoostError) -> PageTemplate {
    guard pages.block_count > 0, pages.block_count <= UInt64(Int32.max) else {
      throw RoostError(.invalidInput, "a device has 1 to \(Int32.max) blocks, not \(pages.block_count)")
    }
    let regions: [roost_region] = try Arguments.structures(
      pages.regions, count: pages.region_count, max: Limits.partCountMax, "regions")
    let parts: [roost_part] = try Arguments.structures(
      pages.parts, count: pages.part_count, max: Limits.partCountMax, "parts")
    var made = Made(blockCount: Int(pages.block_count))
    for (number, part) in parts.enumerated() {
      guard part.region < UInt64(regions.count) else {
        throw RoostError(.invalidInput, "part \(number) lies in region \(part.region) of \(regions.count)")
      }
      try made.add(part, number, in: regions[Int(part.region)])
    }
    return try PageTemplate(
      regions: made.regions, parts: made.parts, slotByteCount: slotByteCount,
      efficientRunBytes: device.description.efficientRunBytes)
  }

  /// Regions with one stride each: a caller's region appears once for every stride of its parts.
  private struct Made {
    let blockCount: Int
    var regions: [PagedRegion] = []
    var parts: [PagePart] = []

    mutating func add(_ part: roost_part, _ number: Int, in region: roost_region) throws(RoostError) {
      let paged = PagedRegion(
        address: UInt(region.address), byteCount: try whole(region.byte_count, "byte_count of a region"),
        blockStrideBytes: try whole(part.block_stride, "block_stride"), blockCount: blockCount)
      let index: Int
      if let known = regions.firstIndex(of: paged) {
        index = known
      } else {
        index = regions.count
        regions.append(paged)
      }
      parts.append(
        part.device_layout == nil
          ? try run(part, number, index) : try planned(part, number, index))
    }

    private func run(_ part: roost_part, _ number: Int, _ region: Int) throws(RoostError) -> PagePart {
      do throws(LayoutError) {
        let axes = [Axis("content", Int(clamping: part.byte_count), strideBytes: 1)]
        return PagePart(
          region: region,
          device: try Layout(axes: axes, itemByteCount: 1, offsetBytes: Int(clamping: part.offset)),
          slot: try Layout(axes: axes, itemByteCount: 1, offsetBytes: Int(clamping: part.slot_offset)))
      } catch {
        throw RoostError(.invalidInput, "part \(number) makes no sense", cause: error.roostError)
      }
    }

    private func planned(_ part: roost_part, _ number: Int, _ region: Int) throws(RoostError) -> PagePart {
      guard part.byte_count == 0, part.slot_offset == 0, part.offset == 0 else {
        throw RoostError(
          .invalidInput, "part \(number) has layouts: its offset, byte_count and slot_offset must be 0")
      }
      do throws(RoostError) {
        return PagePart(
          region: region,
          device: try layout(part.device_layout, part.device_layout_bytes, "device_layout"),
          slot: try layout(part.slot_layout, part.slot_layout_bytes, "slot_layout"))
      } catch {
        throw RoostError(.invalidInput, "part \(number) makes no sense", cause: error)
      }
    }

    private func layout(
      _ text: UnsafePointer<CChar>?, _ byteCount: Int, _ name: StaticString
    ) throws(RoostError) -> Layout {
      guard text != nil else { throw Arguments.missing(name) }
      return try Layout(json: try JSONValue(parsing: try Arguments.text(text, byteCount: byteCount, name)))
    }

    private func whole(_ value: UInt64, _ name: String) throws(RoostError) -> Int {
      guard let whole = Int(exactly: value) else { throw RoostError(.invalidInput, "\(name) is beyond any memory") }
      return whole
    }
  }
}
