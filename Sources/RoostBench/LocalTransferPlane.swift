import RoostDevice
import RoostPrimitives
import RoostTransfer

/// A transfer queue in this process.
final class LocalTransferPlane: TransferPlane {
  private let queue: TransferQueue
  private let template: PageTemplate
  private let slotsAddress: UInt
  private let slotByteCount: Int

  /// A stuck benchmark ends with an error.
  private static let patienceSeconds = 60.0

  init(_ shape: TransferShape, in arena: TransferArena) throws(RoostError) {
    queue = try TransferQueue(device: arena.device)
    template = try PageTemplate(
      regions: [shape.region(at: arena.cache.address)], parts: [try shape.part()],
      slotByteCount: shape.pageByteCount, efficientRunBytes: arena.device.description.efficientRunBytes)
    slotsAddress = arena.slots.address
    slotByteCount = shape.pageByteCount
  }

  func copy(_ direction: TransferDirection, blocks: [UInt32], slots: [UInt32]) throws(RoostError) {
    let pages = zip(blocks, slots).map {
      PageCopy(block: $0, slotAddress: slotsAddress + UInt($1) * UInt(slotByteCount))
    }
    let job = TransferJob(direction, template: template)
    let ticket = try pages.withUnsafeBufferPointer { (pages) throws(RoostError) in try queue.submit(job, pages) }
    let result = try queue.wait(for: ticket, until: .after(seconds: LocalTransferPlane.patienceSeconds))
    if case .failed(let error) = result.outcome { throw error }
  }
}
