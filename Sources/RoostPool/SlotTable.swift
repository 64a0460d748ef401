import CRoostPlatform
import CXXHash
import Glibc
import RoostPrimitives
import Synchronization

/// The slot table in memory: header, chunks, identities, rows (slot_table.h is the format).
///
/// The owner has it writable, attached processes read-only. Calls that write are the owner's, and made by one thread
/// at a time; reading is possible from any thread and process at any time, and never sees half a row.
final class SlotTable: Sendable {
  let layout: TableLayout
  let poolToken: UInt64
  /// The table's file; writable in the owner.
  let file: Descriptor
  private nonisolated(unsafe) let start: UnsafeMutableRawPointer
  private let allocatedBytes = Atomic<Int>(0)

  /// Maps a table whose file has its full size.
  init(
    file: Descriptor, layout: TableLayout, poolToken: UInt64, isWritable: Bool
  ) throws(RoostError) {
    let protection = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
    guard let start = mmap(nil, layout.byteCount, protection, MAP_SHARED, file.number, 0), start != MAP_FAILED else {
      throw .system("mmap", errno, "cannot map the pool's slot table", context: [("bytes", "\(layout.byteCount)")])
    }
    _ = roost_memory_advise_no_fork(start, layout.byteCount)
    self.start = start
    self.file = file
    self.layout = layout
    self.poolToken = poolToken
  }

  deinit { munmap(start, layout.byteCount) }

  /// Makes a new table in an empty file. Everything but the rows is allocated; rows are allocated as chunks come.
  static func create(
    in file: Descriptor, _ layout: TableLayout, _ identity: TableIdentity
  ) throws(RoostError) -> SlotTable {
    guard ftruncate(file.number, off_t(layout.byteCount)) == 0 else {
      throw .system(
        "ftruncate", errno, "cannot make the pool's slot table", context: [("bytes", "\(layout.byteCount)")])
    }
    let result = roost_file_allocate(file.number, 0, Int64(layout.rowsOffset))
    _ = try Descriptor.check(result, "fallocate", "there is no memory for the slot table")
    let table = try SlotTable(file: file, layout: layout, poolToken: identity.poolToken, isWritable: true)
    table.allocatedBytes.store(layout.rowsOffset, ordering: .relaxed)
    table.start.storeBytes(of: TableHeader.make(layout, identity), as: roost_table_header.self)
    return table
  }

  /// Allocates the rows of the first `count` slots, so that writing them cannot fail. One caller at a time.
  func allocateRows(_ count: Int) throws(RoostError) {
    let end = rowsEnd(count)
    let result = roost_file_allocate(file.number, 0, Int64(end))
    _ = try Descriptor.check(result, "fallocate", "there is no memory for the slot table's rows")
    allocatedBytes.store(end, ordering: .relaxed)
  }

  /// Bytes that `allocateRows` would have to take.
  func bytesToAllocate(rows count: Int) -> Int { max(0, rowsEnd(count) - allocatedBytes.load(ordering: .relaxed)) }

  private func rowsEnd(_ count: Int) -> Int {
    min(layout.byteCount, layout.rowOffset(count).roundedUp(to: Limits.pageBytes))
  }

  /// The owner, for messages.
  var owner: ProcessIdentity {
    get {
      let owner = start.load(fromByteOffset: ROOST_TABLE_OWNER_OFFSET, as: roost_table_owner.self)
      return ProcessIdentity(pid: owner.pid, startTime: owner.start_time)
    }
    set {
      let owner = roost_table_owner(pid: newValue.pid, reserved: 0, start_time: newValue.startTime)
      start.storeBytes(of: owner, toByteOffset: ROOST_TABLE_OWNER_OFFSET, as: roost_table_owner.self)
    }
  }

  private func word(at offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
    (start + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  // MARK: Rows

  // A row is ten 64-bit words, each stored and loaded whole. Generation and state share one, which goes first and last.
  private static let rowWords = MemoryLayout<roost_table_row>.size / 8
  private static let stateWord = (MemoryLayout<roost_table_row>.offset(of: \.generation) ?? 0) / 8
  private static let checkOffset = MemoryLayout<roost_table_row>.offset(of: \.check) ?? 0
  private static let stateMask = UInt64(UInt32.max) << 32

  private func words(of slot: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    (start + layout.rowOffset(slot)).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// Seeded with the pool's token and the slot, so that a row of another pool, or in another row's place, fails.
  private func check(_ row: roost_table_row, slot: Int) -> UInt64 {
    withUnsafeBytes(of: row) { bytes in
      XXH3_64bits_withSeed(bytes.baseAddress, SlotTable.checkOffset, poolToken &+ UInt64(slot))
    }
  }

  /// Writes a row by the protocol in slot_table.h: killed between any two instructions, this leaves an empty row, the
  /// new one, or the old one.
  func write(_ row: SlotRow) {
    let slot = Int(row.slot.rawValue)
    var stored = row.stored
    stored.check = check(stored, slot: slot)
    let place = words(of: slot)
    // An exchange, not a store: nothing that follows may become visible before it.
    _ = place[SlotTable.stateWord].exchange(0, ordering: .acquiringAndReleasing)
    withUnsafeBytes(of: stored) { bytes in
      for word in 0..<SlotTable.rowWords where word != SlotTable.stateWord {
        place[word].store(bytes.load(fromByteOffset: word * 8, as: UInt64.self), ordering: .relaxed)
      }
      let last = bytes.load(fromByteOffset: SlotTable.stateWord * 8, as: UInt64.self)
      place[SlotTable.stateWord].store(last, ordering: .releasing)
    }
  }

  /// Marks a slot as being filled by the writers of a generation: one store. The rest of the row is whatever it was, so
  /// that nobody takes it for a page.
  func markFilling(_ slot: SlotNumber, generation: UInt32) {
    let word = UInt64(RowState.filling.rawValue) << 32 | UInt64(generation)
    // An exchange: what the writers put into the slot must not become visible before.
    _ = words(of: Int(slot.rawValue))[SlotTable.stateWord].exchange(word, ordering: .acquiringAndReleasing)
  }

  /// Empties a row.
  func clear(_ slot: SlotNumber) {
    words(of: Int(slot.rawValue))[SlotTable.stateWord].store(0, ordering: .releasing)
    // What the caller writes into the slot from now on must not become visible before.
    atomicMemoryFence(ordering: .acquiringAndReleasing)
  }

  /// Reads a row; nil if it is empty, being written, or damaged.
  func row(_ slot: SlotNumber) -> SlotRow? {
    let index = Int(slot.rawValue)
    let place = words(of: index)
    let state = place[SlotTable.stateWord].load(ordering: .acquiring)
    guard state & SlotTable.stateMask != 0 else { return nil }
    var stored = roost_table_row()
    withUnsafeMutableBytes(of: &stored) { bytes in
      for word in 0..<SlotTable.rowWords {
        let value = word == SlotTable.stateWord ? state : place[word].load(ordering: .relaxed)
        bytes.storeBytes(of: value, toByteOffset: word * 8, as: UInt64.self)
      }
    }
    // A copy made while the owner wrote is torn, and a torn copy fails its check.
    guard stored.check == check(stored, slot: index) else { return nil }
    return SlotRow(stored, slot: slot)
  }

  /// The same with the size, for a slot that `memory` knows.
  func standing(of slot: SlotNumber, in memory: SlotMemory) -> SlotStanding? {
    guard memory.isKnown(slot), let (generation, state) = standing(slot) else { return nil }
    return SlotStanding(
      generation: generation, state: state, slotByteCount: memory.slotByteCounts[memory.slotClass(of: slot)])
  }

  /// What a row says of its state and generation, true or not; one load.
  func standing(_ slot: SlotNumber) -> (generation: UInt32, state: RowState)? {
    let word = words(of: Int(slot.rawValue))[SlotTable.stateWord].load(ordering: .acquiring)
    guard let state = RowState(rawValue: UInt32(word >> 32)) else { return nil }
    return (UInt32(truncatingIfNeeded: word), state)
  }

  /// Whether a row claims to hold something, true or not.
  func isOccupied(_ slot: SlotNumber) -> Bool {
    words(of: Int(slot.rawValue))[SlotTable.stateWord].load(ordering: .acquiring) & SlotTable.stateMask != 0
  }

  // MARK: Chunks

  private func check(_ entry: roost_table_chunk, chunk: Int) -> UInt64 {
    let words = (
      poolToken &+ UInt64(chunk), UInt64(entry.slot_class) << 32 | UInt64(entry.first_slot), UInt64(entry.slot_count),
      entry.byte_count
    )
    return withUnsafeBytes(of: words) { XXH3_64bits($0.baseAddress, $0.count) }
  }

  /// Notes that a chunk's memory is there, and not cut.
  func setCommitted(chunk: Int, byteCount: Int) {
    let entry = roost_table_chunk(
      state: UInt32(ROOST_CHUNK_COMMITTED), slot_class: 0, first_slot: 0, slot_count: 0, byte_count: UInt64(byteCount),
      check: 0)
    write(entry, chunk: chunk)
  }

  /// Notes a chunk's cut; the rows of its slots must be empty.
  func setCut(_ piece: ChunkLedger.Piece, byteCount: Int) {
    var entry = roost_table_chunk(
      state: UInt32(ROOST_CHUNK_CUT), slot_class: UInt32(piece.slotClass), first_slot: piece.slots.lowerBound,
      slot_count: UInt32(piece.slots.count), byte_count: UInt64(byteCount), check: 0)
    entry.check = check(entry, chunk: piece.chunk)
    write(entry, chunk: piece.chunk)
  }

  /// Forgets a chunk.
  func setAbsent(chunk: Int) {
    word(at: layout.chunkOffset(chunk)).pointee.store(UInt32(ROOST_CHUNK_ABSENT), ordering: .releasing)
  }

  private func write(_ entry: roost_table_chunk, chunk: Int) {
    let state = word(at: layout.chunkOffset(chunk))
    _ = state.pointee.exchange(UInt32(ROOST_CHUNK_ABSENT), ordering: .acquiringAndReleasing)
    var waiting = entry
    waiting.state = UInt32(ROOST_CHUNK_ABSENT)
    (start + layout.chunkOffset(chunk)).storeBytes(of: waiting, as: roost_table_chunk.self)
    state.pointee.store(entry.state, ordering: .releasing)
  }

  /// A cut that makes sense by itself, with the bytes of its chunk; nil for a chunk that is not cut or damaged.
  func cut(chunk: Int) -> (piece: ChunkLedger.Piece, byteCount: Int)? {
    let entry = (start + layout.chunkOffset(chunk)).load(as: roost_table_chunk.self)
    let plan = layout.plan
    guard entry.state == UInt32(ROOST_CHUNK_CUT), entry.check == check(entry, chunk: chunk),
      entry.slot_class < UInt32(plan.sizes.count), let bytes = Int(exactly: entry.byte_count), bytes > 0,
      bytes <= plan.byteCount(of: chunk), entry.slot_count > 0,
      Int(entry.slot_count) <= plan.slotCount(of: Int(entry.slot_class), in: bytes),
      Int(entry.first_slot) + Int(entry.slot_count) <= plan.slotCountMax
    else { return nil }
    let slots = entry.first_slot..<entry.first_slot + entry.slot_count
    return (ChunkLedger.Piece(chunk: chunk, slotClass: Int(entry.slot_class), slots: slots), bytes)
  }

  // MARK: Identities

  private func check(_ digest: IdentityDigest, identity: Int) -> UInt64 {
    let words = digest.words
    return withUnsafeBytes(of: words) { bytes in
      XXH3_64bits_withSeed(bytes.baseAddress, bytes.count, poolToken ^ UInt64(identity + 1) << 32)
    }
  }

  /// Writes an identity's digest; rows may name it from now on.
  func write(_ digest: IdentityDigest, identity: Int) {
    let entry = roost_table_identity(digest: digest.words, check: check(digest, identity: identity))
    (start + layout.identityOffset(identity)).storeBytes(of: entry, as: roost_table_identity.self)
    atomicMemoryFence(ordering: .releasing)
  }

  /// The digest of an identity; nil if it was never written, or is damaged.
  func digest(identity: Int) -> IdentityDigest? {
    guard identity < layout.identityCountMax else { return nil }
    let entry = (start + layout.identityOffset(identity)).load(as: roost_table_identity.self)
    let digest = IdentityDigest(words: entry.digest)
    return entry.check == check(digest, identity: identity) ? digest : nil
  }
}
