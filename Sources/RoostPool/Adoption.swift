import RoostPrimitives

/// What the owner of a kept pool found when it opened it.
public struct Adoption: Sendable {
  /// The slots that exist already, by class: to be added to the block table as if `cut` had given them.
  public var ranges: [(slotClass: Int, slots: Range<UInt32>)] = []
  /// The identities that rows name, in the order of their numbers from 0: intern them in this order, first.
  public var identities: [IdentityDigest] = []
  /// The sealed pages. Compare each with its seal (`Pool.check`) before its first use; a page that fails is a miss.
  public var rows: [SlotRow] = []
  /// Slots that held something which cannot be believed or was not sealed; they are free.
  public var droppedRowCount = 0
  /// Chunks whose memory or entry was damaged.
  public var droppedChunkCount = 0
}

/// Reads what a former owner left. The table is believed where its checks hold, and nowhere else.
struct AdoptionScan {
  let table: SlotTable
  let memory: SlotMemory
  let store: ChunkStore
  private(set) var found = Adoption()
  private(set) var ledger: ChunkLedger
  /// Chunks to be committed (again).
  private(set) var missing: [Int] = []
  /// The files of chunks that are there.
  private(set) var announcements: [Announcement] = []

  init(table: SlotTable, memory: SlotMemory, store: ChunkStore) {
    self.table = table
    self.memory = memory
    self.store = store
    ledger = ChunkLedger(plan: table.layout.plan)
  }

  /// Maps the chunks, takes over their cuts, collects sealed rows and clears all others. Leaves out slots of chunks
  /// whose memory is not there. Touches no page.
  mutating func run() throws(RoostError) {
    readIdentities()
    var slotEnd: UInt32 = 0
    var cuts: [(piece: ChunkLedger.Piece, byteCount: Int)] = []
    for chunk in 0..<table.layout.plan.chunkCount {
      if let cut = table.cut(chunk: chunk) { cuts.append(cut) } else { missing.append(chunk) }
    }
    // Two cuts never have the same slot, so of two that say so at most one is right; which, nobody can tell.
    cuts.sort { $0.piece.slots.lowerBound < $1.piece.slots.lowerBound }
    for (index, cut) in cuts.enumerated() {
      let overlapsNext = index + 1 < cuts.count && cuts[index + 1].piece.slots.lowerBound < cut.piece.slots.upperBound
      if cut.piece.slots.lowerBound < slotEnd || overlapsNext {
        found.droppedChunkCount += 1
        table.setAbsent(chunk: cut.piece.chunk)
        missing.append(cut.piece.chunk)
      } else {
        try adopt(cut.piece, byteCount: cut.byteCount)
      }
      slotEnd = max(slotEnd, cut.piece.slots.upperBound)
    }
    missing.sort()
  }

  private mutating func readIdentities() {
    var identity = 0
    while let digest = table.digest(identity: identity) {
      found.identities.append(digest)
      identity += 1
    }
  }

  private mutating func adopt(_ piece: ChunkLedger.Piece, byteCount: Int) throws(RoostError) {
    guard let file = store.existing(chunk: piece.chunk, byteCount: byteCount) else {
      found.droppedChunkCount += 1
      missing.append(piece.chunk)
      ledger.adopt(piece, byteCount: byteCount, isPresent: false)
      for slot in piece.slots { drop(SlotNumber(rawValue: slot)) }
      return
    }
    try memory.map(chunk: piece.chunk, file: file, byteCount: byteCount, hugePages: false)
    memory.publish(chunk: piece.chunk, byteCount: byteCount, isPopulated: false)
    memory.assign(piece)
    ledger.adopt(piece, byteCount: byteCount, isPresent: true)
    announcements.append(.chunk(piece.chunk, byteCount: byteCount, file: file))
    announcements.append(.cut(piece))
    found.ranges.append((piece.slotClass, piece.slots))
    let slotBytes = table.layout.plan.sizes[piece.slotClass].slotBytes
    for slot in piece.slots {
      let number = SlotNumber(rawValue: slot)
      guard table.isOccupied(number) else { continue }
      if let row = table.row(number), row.state == .sealed, Int(row.byteCount) <= slotBytes,
        Int(row.key.identity.rawValue) < found.identities.count
      {
        found.rows.append(row)
      } else {
        drop(number)
      }
    }
  }

  private mutating func drop(_ slot: SlotNumber) {
    guard table.isOccupied(slot) else { return }
    table.clear(slot)
    found.droppedRowCount += 1
  }
}
