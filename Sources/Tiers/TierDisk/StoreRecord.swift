import RoostPrimitives
import RoostStorage

/// The small file `store`: what the tier's files have in common, and how often it was opened.
///
/// Little-endian: magic 0 (8), version 8 (4), zero 12 (4), store 16 (16), session 32 (8), segment size 40 (8), check over
/// all before it 48 (16).
struct StoreRecord: Hashable, Sendable {
  var store: StoreID
  /// Grows with every opening. A snapshot is of the session that wrote it, and is good for the one after it only.
  var session: UInt64
  var segmentByteCount: Int

  static let fileName = "store"
  static let byteCount = Limits.granuleBytes
  private static let magic: UInt64 = 0x4552_4F54_5354_534F
  private static let version: UInt32 = 1
  private static let checkOffset = 48

  func write(to file: any StorageFile) throws(RoostError) {
    let memory = AlignedMemory(byteCount: StoreRecord.byteCount)
    let fields = ByteFields(memory.start)
    fields.put(StoreRecord.magic, at: 0)
    fields.put(StoreRecord.version, at: 8)
    fields.put(store.low, at: 16)
    fields.put(store.high, at: 24)
    fields.put(session, at: 32)
    fields.put(UInt64(segmentByteCount), at: 40)
    let check = Seal(over: UnsafeRawBufferPointer(start: memory.start, count: StoreRecord.checkOffset))
    fields.put(check.low, at: StoreRecord.checkOffset)
    fields.put(check.high, at: StoreRecord.checkOffset + 8)
    try file.write(UnsafeRawBufferPointer(memory.bytes), at: 0)
    try file.sync()
  }

  /// The record in a file, nil if there is none that can be believed.
  static func read(from file: any StorageFile) throws(RoostError) -> StoreRecord? {
    let memory = AlignedMemory(byteCount: byteCount)
    guard try file.read(into: memory.bytes, at: 0) == byteCount else { return nil }
    let fields = ByteFields(memory.start)
    let check = Seal(over: UnsafeRawBufferPointer(start: memory.start, count: checkOffset))
    let segmentByteCount: UInt64 = fields.get(40)
    guard fields.get(0) == magic, fields.get(8) == version, fields.get(checkOffset) == check.low,
      fields.get(checkOffset + 8) == check.high, segmentByteCount <= UInt64(Limits.capacityBytesMax),
      segmentByteCount >= UInt64(Limits.segmentFrontBytes + Limits.slotBytesMin),
      fields.get(32, as: UInt64.self) < Limits.sessionMax
    else { return nil }
    return StoreRecord(
      store: StoreID(low: fields.get(16), high: fields.get(24)), session: fields.get(32),
      segmentByteCount: Int(segmentByteCount))
  }
}

/// Zeroed memory at a multiple of a granule, freed with its last reference.
final class AlignedMemory: @unchecked Sendable {
  // Whoever shares it takes turns.
  let bytes: UnsafeMutableRawBufferPointer
  let start: UnsafeMutableRawPointer

  init(byteCount: Int) {
    start = .allocate(byteCount: max(1, byteCount), alignment: Limits.granuleBytes)
    bytes = UnsafeMutableRawBufferPointer(start: start, count: byteCount)
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { start.deallocate() }
}
