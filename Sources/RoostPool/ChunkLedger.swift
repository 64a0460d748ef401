/// What `Pool.cut` answers.
public enum Cut: Hashable, Sendable {
  /// New slots: nobody has had these numbers before.
  case slots(Range<UInt32>)
  /// Nothing is left of what has been committed so far; more is being committed.
  case notYet
  /// Everything the system gives has been cut.
  case exhausted
}

/// Which chunks are committed and cut, and which numbers their slots have. A pure state machine; its driver holds the
/// lock and does what the answers say.
struct ChunkLedger: Sendable {
  /// A chunk's cut: its slots, all of one class.
  struct Piece: Hashable, Sendable {
    var chunk: Int
    var slotClass: Int
    var slots: Range<UInt32>
  }

  /// What to do for a caller who asks for slots.
  enum Answer: Hashable, Sendable {
    /// Cut this chunk now.
    case cut(Piece)
    /// These slots of an earlier owner's cut are there again; the chunk is cut already.
    case restored(Piece)
    case notYet
    case exhausted
  }

  private let plan: ChunkPlan
  private var uncut: [(chunk: Int, byteCount: Int)] = []
  private var restored: [Piece] = []
  private var awaited: [Int: Piece] = [:]
  private var nextSlot: UInt32 = 0
  /// Numbers below `nextSlot` that no cut has: chunks of a former owner whose entries were damaged.
  private var gaps: [Range<UInt32>] = []
  /// Bytes committed so far, cut or not.
  private(set) var committedBytes = 0
  /// Whether no further chunk will be committed.
  private(set) var isSettled = false

  init(plan: ChunkPlan) { self.plan = plan }

  /// Takes over a cut of the pool's former owner; cuts come in the order of their slots. `isPresent`: its memory is there; otherwise the chunk will be
  /// committed again and its slots come back, empty, through `cut`.
  mutating func adopt(_ piece: Piece, byteCount: Int, isPresent: Bool) {
    if piece.slots.lowerBound > nextSlot { gaps.append(nextSlot..<piece.slots.lowerBound) }
    nextSlot = max(nextSlot, piece.slots.upperBound)
    if isPresent {
      committedBytes += byteCount
    } else {
      awaited[piece.chunk] = piece
    }
  }

  /// Notes that a chunk's memory is there.
  mutating func commit(chunk: Int, byteCount: Int) {
    committedBytes += byteCount
    let fits = awaited.removeValue(forKey: chunk).flatMap { piece -> Piece? in
      // The chunk may have come back smaller than it was: slots beyond its end are gone for good.
      let count = min(piece.slots.count, plan.slotCount(of: piece.slotClass, in: byteCount))
      let slots = piece.slots.lowerBound..<piece.slots.lowerBound + UInt32(count)
      return count > 0 ? Piece(chunk: chunk, slotClass: piece.slotClass, slots: slots) : nil
    }
    if let fits {
      restored.append(fits)
    } else {
      uncut.append((chunk, byteCount))
    }
  }

  /// Notes that no more chunks come.
  mutating func settle() { isSettled = true }

  /// Answers who asks for slots of a class. Chunks that are too small for the class stay for others.
  mutating func cut(_ slotClass: Int) -> Answer {
    if let index = restored.firstIndex(where: { $0.slotClass == slotClass }) {
      return .restored(restored.remove(at: index))
    }
    let fitting = uncut.firstIndex { plan.slotCount(of: slotClass, in: $0.byteCount) > 0 }
    guard let index = fitting else { return isSettled ? .exhausted : .notYet }
    let count = plan.slotCount(of: slotClass, in: uncut[index].byteCount)
    // Numbers run out where rounding made room for more slots than were asked for.
    guard let slots = takeNumbers(count) else { return .exhausted }
    let chunk = uncut.remove(at: index).chunk
    return .cut(Piece(chunk: chunk, slotClass: slotClass, slots: slots))
  }

  private mutating func takeNumbers(_ count: Int) -> Range<UInt32>? {
    if let index = gaps.firstIndex(where: { $0.count >= count }) {
      let slots = gaps[index].lowerBound..<gaps[index].lowerBound + UInt32(count)
      gaps[index] = slots.upperBound..<gaps[index].upperBound
      return slots
    }
    let count = min(count, plan.slotCountMax - Int(nextSlot))
    guard count > 0 else { return nil }
    let slots = nextSlot..<nextSlot + UInt32(count)
    nextSlot = slots.upperBound
    return slots
  }

  /// Rows that are needed before one more chunk is published: all numbers that could be given out then.
  var rowCountNeeded: Int {
    let slotsPerChunk = plan.chunkBytes / plan.smallestStrideBytes
    return min(plan.slotCountMax, Int(nextSlot) + (uncut.count + 1) * slotsPerChunk)
  }
}
