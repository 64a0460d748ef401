import CRoostPlatform
import RoostDevice
import RoostLayout
import RoostPrimitives
import RoostTransfer

/// Pages so small that their copy costs next to nothing.
final class OverheadScene {
  /// Pages of a large request: a few thousand runs, so that a sample is over before the system runs somebody else.
  let pageCount: Int
  private static let pieceByteCount = 64

  private let device: any Device
  private let cache: DeviceMemory
  private let slots: HostMemory
  private let queue: TransferQueue
  private let template: PageTemplate
  private let pages: [PageCopy]
  private let pieces: [roost_copy_piece]

  init(on device: any Device, pieceCount: Int) throws(RoostError) {
    let pageCount = pieceCount == 1 ? 2048 : 256
    self.pageCount = pageCount
    let shape = TransferShape(
      pieceByteCount: OverheadScene.pieceByteCount, pieceCount: pieceCount,
      arenaBytes: (pageCount + 2) * pieceCount * OverheadScene.pieceByteCount)
    self.device = device
    cache = try device.allocate(byteCount: shape.arenaBytes)
    let slots = try device.allocateHost(byteCount: shape.arenaBytes)
    self.slots = slots
    queue = try TransferQueue(device: device)
    template = try PageTemplate(
      regions: [shape.region(at: cache.address)], parts: [try shape.part()], slotByteCount: shape.pageByteCount)
    // Two apart, so that neighbours are not copied as one.
    pages = (0..<pageCount).map {
      PageCopy(block: UInt32($0), slotAddress: slots.address + UInt(($0 ^ 1) * shape.pageByteCount))
    }
    let address = cache.address
    pieces = pages.flatMap { page in
      (0..<pieceCount).map { layer in
        roost_copy_piece(
          source: address + UInt((layer * shape.blockCount + Int(page.block)) * shape.pieceByteCount),
          target: page.slotAddress + UInt(layer * shape.pieceByteCount), byte_count: shape.pieceByteCount)
      }
    }
  }

  deinit {
    // The memory came from this device; the only error would be that it did not.
    try? device.freeHost(slots)
    try? device.free(cache)
  }

  /// Stores the first `pageCount` pages and waits.
  func copy(pageCount: Int) throws(RoostError) {
    let job = TransferJob(.store, template: template)
    let ticket = try pages.withUnsafeBufferPointer { (pages) throws(RoostError) in
      try queue.submit(job, UnsafeBufferPointer(rebasing: pages[..<pageCount]))
    }
    let result = try queue.wait(for: ticket, until: .after(seconds: 10))
    if case .failed(let error) = result.outcome { throw error }
  }

  /// The copy loop alone over the pieces of all pages, on the calling thread.
  func copyBarely() { roost_copy_pieces(pieces, pieces.count) }
}
