import RoostPrimitives
import Synchronization

/// How much of a pool there is.
public struct PoolCapacity: Hashable, Sendable {
  /// Bytes asked for, in whole pages.
  public var requestedBytes: Int
  /// Bytes that are there.
  public var committedBytes: Int
  /// Whether it has its final size.
  public var isSettled: Bool
  /// Why it is smaller than asked for, and what to raise; nil if it is not.
  public var shortage: String?
}

/// The pool's growth, shared by its owner and the thread that commits: driver of the `ChunkLedger`. Thread-safe.
final class PoolGrowth: Sendable {
  private let name: String
  private let requestedBytes: Int
  private let memory: SlotMemory
  private let table: SlotTable
  private let socket: OwnerSocket?
  private let ledger: Locked<ChunkLedger>
  private let shortage: Locked<String?>
  private let doorbell = Doorbell()
  private let isEnded = Atomic(false)

  init(_ opening: PoolOpening, _ socket: OwnerSocket?) {
    name = opening.configuration.name
    requestedBytes = opening.requestedBytes
    memory = opening.memory
    table = opening.table
    self.socket = socket
    ledger = Locked(opening.scan?.ledger ?? ChunkLedger(plan: opening.memory.plan))
    shortage = Locked(opening.shortage)
  }

  /// How much there is now.
  var capacity: PoolCapacity {
    let shortage = shortage.withLock { $0 }
    return ledger.withLock { ledger in
      PoolCapacity(
        requestedBytes: requestedBytes, committedBytes: ledger.committedBytes, isSettled: ledger.isSettled,
        shortage: ledger.isSettled ? shortage : nil)
    }
  }

  /// Rows that must exist before one more chunk is published.
  var rowCountNeeded: Int { ledger.withLock { $0.rowCountNeeded } }

  /// Takes a committed chunk: tells the attachments, then makes it available to `cut`, so that no attachment hears of a
  /// slot before its chunk.
  func publish(_ chunk: Int, _ byteCount: Int, _ file: Descriptor) {
    socket?.announce(.chunk(chunk, byteCount: byteCount, file: file))
    ledger.withLock { $0.commit(chunk: chunk, byteCount: byteCount) }
    doorbell.ring()
  }

  /// Takes the end of committing. A pool that is smaller than asked for says so in one line.
  func settle(_ reason: String?) {
    let reasons = shortage.withLock { shortage in
      shortage = [shortage, reason].compactMap { $0 }.reduce(nil) { $0.map { $0 + "; " } ?? "" + $1 }
      return shortage
    }
    let committed = ledger.withLock { ledger in
      ledger.settle()
      return ledger.committedBytes
    }
    if let reasons {
      Log.write(
        .warning, "pool '\(name)' has \(ByteCount(committed)) instead of \(ByteCount(requestedBytes)): \(reasons)")
    }
    doorbell.ring()
  }

  /// Cuts a chunk for a class.
  func cut(_ slotClass: Int) -> Cut {
    ledger.withLock { ledger in
      switch ledger.cut(slotClass) {
      case .notYet: return .notYet
      case .exhausted: return .exhausted
      case .cut(let piece):
        // Rows of an earlier life must not speak for the new slots.
        for slot in piece.slots { table.clear(SlotNumber(rawValue: slot)) }
        return finish(piece)
      case .restored(let piece): return finish(piece)
      }
    }
  }

  /// Called under the ledger's lock, so that attachments hear of cuts in their order.
  private func finish(_ piece: ChunkLedger.Piece) -> Cut {
    table.setCut(piece, byteCount: memory.byteCount(ofChunk: piece.chunk))
    memory.assign(piece)
    socket?.announce(.cut(piece))
    return .slots(piece.slots)
  }

  /// The pool closes: nobody needs to wait any more.
  func end() {
    isEnded.store(true, ordering: .releasing)
    doorbell.ring()
  }

  /// Waits until at least `bytes` are there or no more come, the pool is closed, or the deadline has passed.
  func wait(forBytes bytes: Int, until deadline: Deadline) -> PoolCapacity {
    while true {
      let count = doorbell.ringCount
      let now = capacity
      if now.committedBytes >= bytes || now.isSettled || isEnded.load(ordering: .acquiring) || deadline.hasPassed() {
        return now
      }
      doorbell.wait(past: count, spinNanoseconds: 0, until: deadline)
    }
  }
}
