import RoostPrimitives

/// The front of a segment: which slots it is cut into. Written twice, a granule apart; the later valid copy counts.
///
/// Little-endian: magic 0 (8), version 8 (4), segment 12 (4), store 16 (16), slot size 32 (8), file size 40 (8), epoch 48
/// (8), check over all before it 56 (16).
struct SegmentHeader: Hashable, Sendable {
  var store: StoreID
  var number: UInt32
  /// Bytes of a page that a slot can hold; the slot has a header granule besides. 0: not cut yet.
  var slotByteCount: Int
  var segmentByteCount: Int
  /// Grows whenever the segment is cut anew, so that headers of an earlier cutting mean nothing.
  var epoch: UInt64

  private static let magic: UInt64 = 0x4D47_4553_5453_4F52
  private static let version: UInt32 = 1
  private static let checkOffset = 56

  /// Writes both copies.
  func encode(into front: UnsafeMutableRawBufferPointer) {
    front.initializeMemory(as: UInt8.self, repeating: 0)
    for copy in 0..<2 {
      guard let start = front.baseAddress.map({ $0 + copy * Limits.granuleBytes }) else { return }
      let fields = ByteFields(start)
      fields.put(SegmentHeader.magic, at: 0)
      fields.put(SegmentHeader.version, at: 8)
      fields.put(number, at: 12)
      fields.put(store.low, at: 16)
      fields.put(store.high, at: 24)
      fields.put(UInt64(slotByteCount), at: 32)
      fields.put(UInt64(segmentByteCount), at: 40)
      fields.put(epoch, at: 48)
      let check = Seal(over: UnsafeRawBufferPointer(start: start, count: SegmentHeader.checkOffset))
      fields.put(check.low, at: SegmentHeader.checkOffset)
      fields.put(check.high, at: SegmentHeader.checkOffset + 8)
    }
  }

  /// The later valid copy, or nil. `isBlank` tells a segment never cut from a damaged one.
  static func decode(_ front: UnsafeMutableRawBufferPointer) -> (header: SegmentHeader?, isBlank: Bool) {
    var best: SegmentHeader?
    for copy in 0..<2 {
      guard let start = front.baseAddress.map({ $0 + copy * Limits.granuleBytes }),
        let header = decodeCopy(ByteFields(start))
      else { continue }
      if best.map({ $0.epoch < header.epoch }) ?? true { best = header }
    }
    return (best, best == nil && front.allSatisfy { $0 == 0 })
  }

  private static func decodeCopy(_ fields: ByteFields) -> SegmentHeader? {
    let check = Seal(over: UnsafeRawBufferPointer(start: fields.start, count: checkOffset))
    guard fields.get(0) == magic, fields.get(8) == version, fields.get(checkOffset) == check.low,
      fields.get(checkOffset + 8) == check.high
    else { return nil }
    let slotByteCount: UInt64 = fields.get(32)
    let segmentByteCount: UInt64 = fields.get(40)
    guard slotByteCount <= UInt64(Limits.pageBytesMax), slotByteCount % UInt64(Limits.granuleBytes) == 0,
      segmentByteCount <= UInt64(Limits.capacityBytesMax), fields.get(48, as: UInt64.self) < Limits.generationMax
    else { return nil }
    return SegmentHeader(
      store: StoreID(low: fields.get(16), high: fields.get(24)), number: fields.get(12),
      slotByteCount: Int(slotByteCount), segmentByteCount: Int(segmentByteCount), epoch: fields.get(48))
  }

  /// Slots of this size in a segment.
  static func slotCount(_ slotByteCount: Int, segmentByteCount: Int) -> Int {
    slotByteCount > 0
      ? max(0, segmentByteCount - Limits.segmentFrontBytes) / (slotByteCount + Limits.granuleBytes) : 0
  }

  /// Where a slot's header begins; its page follows a granule later.
  static func offset(of index: UInt32, slotByteCount: Int) -> Int {
    Limits.segmentFrontBytes + Int(index) * (slotByteCount + Limits.granuleBytes)
  }
}
