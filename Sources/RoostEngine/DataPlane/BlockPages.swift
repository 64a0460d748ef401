import RoostPool
import RoostPrimitives
import RoostTransfer

/// Finds where the blocks of a job lie when the job starts, and leaves out those whose slot was given to another block
/// meanwhile.
final class BlockPages: Sendable {
  private let blocks: [BlockCopy]
  private let reader: SlotReader
  private let verb: CopyVerb
  private let slotByteCount: Int
  private let failed = Locked<[Int]>([])

  init(_ blocks: UnsafeBufferPointer<BlockCopy>, _ reader: SlotReader, _ verb: CopyVerb, slotByteCount: Int) {
    self.blocks = Array(blocks)
    self.reader = reader
    self.verb = verb
    self.slotByteCount = slotByteCount
  }

  /// How many blocks the job names.
  var count: Int { blocks.count }

  /// Indices of the blocks that were left out, ascending. None before the job has started.
  var failedBlocks: [Int] { failed.withLock { $0 } }

  /// The pages of all others.
  var source: PageSource { PageSource(countMax: blocks.count) { self.list(into: &$0) } }

  private func list(into pages: inout [PageCopy]) {
    var failed: [Int] = []
    var patience = Limits.rowReadCountMax
    pages.reserveCapacity(pages.count + blocks.count)
    for (index, block) in blocks.enumerated() {
      guard let standing = standing(of: block.slot, &patience), isCurrent(block, standing) else {
        failed.append(index)
        continue
      }
      pages.append(PageCopy(block: block.block, slotAddress: UInt(bitPattern: reader.memory.address(of: block.slot))))
    }
    if !failed.isEmpty { self.failed.withLock { [failed] in $0 = failed } }
  }

  /// A row that is being written looks empty for a moment, so an empty one is looked at again - some times a job, not a
  /// block, so that a job whose slots have all been freed does not keep others waiting.
  private func standing(of slot: SlotNumber, _ patience: inout Int) -> SlotStanding? {
    while true {
      let standing = reader.standing(of: slot)
      guard standing?.state == .empty, patience > 0 else { return standing }
      patience -= 1
      HostThread.sleep(seconds: Limits.rowReadPauseSeconds)
    }
  }

  /// Whether the slot still belongs to the block that the job means.
  private func isCurrent(_ block: BlockCopy, _ standing: SlotStanding) -> Bool {
    guard standing.generation == block.generation, standing.slotByteCount == slotByteCount else { return false }
    return verb == .load ? standing.state == .ready || standing.state == .sealed : standing.state == .filling
  }
}
