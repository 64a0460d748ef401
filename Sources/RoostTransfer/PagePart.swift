import RoostLayout

/// A part of every page: where it lies in the device's page and where in the slot. One part a page, or one a layer.
public struct PagePart: Hashable, Sendable {
  /// Index of the region on the device.
  public var region: Int
  /// Where the elements of block 0 lie, from the region's start; block `b` lies `b` block strides further.
  public var device: Layout
  /// Where the same elements lie in a slot, from the slot's start.
  public var slot: Layout

  /// Describes a part; both layouts have the same logical axes.
  public init(region: Int, device: Layout, slot: Layout) {
    self.region = region
    self.device = device
    self.slot = slot
  }
}
