import CRoostPlatform
import CXXHash
import RoostPrimitives

/// Where the parts of a slot table lie, and what its header says. A pure value; slot_table.h is the format.
struct TableLayout: Hashable, Sendable {
  var plan: ChunkPlan
  var identityCountMax: Int
  var identitiesOffset: Int
  var rowsOffset: Int
  var byteCount: Int

  static let rowBytes = MemoryLayout<roost_table_row>.stride
  static let chunkBytes = MemoryLayout<roost_table_chunk>.stride
  static let identityBytes = MemoryLayout<roost_table_identity>.stride

  init(plan: ChunkPlan) {
    self.plan = plan
    identityCountMax = max(Limits.identityCountMin, min(Limits.identityCountMax, plan.slotCountMax))
    identitiesOffset = ROOST_TABLE_CHUNKS_OFFSET + plan.chunkCount * TableLayout.chunkBytes
    let identitiesEnd = identitiesOffset + identityCountMax * TableLayout.identityBytes
    rowsOffset = identitiesEnd.roundedUp(to: Limits.pageBytes)
    byteCount = (rowsOffset + plan.slotCountMax * TableLayout.rowBytes).roundedUp(to: Limits.pageBytes)
  }

  func chunkOffset(_ chunk: Int) -> Int { ROOST_TABLE_CHUNKS_OFFSET + chunk * TableLayout.chunkBytes }
  func identityOffset(_ identity: Int) -> Int { identitiesOffset + identity * TableLayout.identityBytes }
  func rowOffset(_ slot: Int) -> Int { rowsOffset + slot * TableLayout.rowBytes }
}

/// What a table says about the pool beyond its layout.
struct TableIdentity: Hashable, Sendable {
  var boot: BootToken
  var user: UInt32
  var poolToken: UInt64
  var contentToken: UInt64
  var capacityBytes: Int
  var isKept: Bool
}

/// Writes headers, and reads them without believing anything.
enum TableHeader {
  private static let checkedBytes = MemoryLayout<roost_table_header>.offset(of: \.check) ?? 0

  static func check(_ bytes: UnsafeRawPointer) -> UInt64 { XXH3_64bits(bytes, checkedBytes) }

  static func make(_ layout: TableLayout, _ identity: TableIdentity) -> roost_table_header {
    var header = roost_table_header()
    header.magic = ROOST_TABLE_MAGIC
    header.format = UInt32(ROOST_TABLE_FORMAT)
    header.user = identity.user
    header.boot_token = identity.boot.words
    header.pool_token = identity.poolToken
    header.content_token = identity.contentToken
    header.capacity_bytes = UInt64(identity.capacityBytes)
    header.chunk_bytes = UInt64(layout.plan.chunkBytes)
    header.chunk_stride_bytes = UInt64(layout.plan.chunkStrideBytes)
    header.last_chunk_bytes = UInt64(layout.plan.lastChunkBytes)
    header.chunk_count = UInt32(layout.plan.chunkCount)
    header.class_count = UInt32(layout.plan.sizes.count)
    header.slot_count_max = UInt32(layout.plan.slotCountMax)
    header.identity_count_max = UInt32(layout.identityCountMax)
    header.identities_offset = UInt64(layout.identitiesOffset)
    header.rows_offset = UInt64(layout.rowsOffset)
    header.table_bytes = UInt64(layout.byteCount)
    header.keep = identity.isKept ? 1 : 0
    withUnsafeMutableBytes(of: &header.classes) { bytes in
      for (index, size) in layout.plan.sizes.enumerated() {
        let entry = roost_table_class(slot_bytes: UInt64(size.slotBytes), stride_bytes: UInt64(size.strideBytes))
        bytes.storeBytes(
          of: entry, toByteOffset: index * MemoryLayout<roost_table_class>.stride, as: roost_table_class.self)
      }
    }
    header.check = withUnsafeBytes(of: header) { bytes in bytes.baseAddress.map { check($0) } ?? 0 }
    return header
  }

  /// Reads a header out of at least `ROOST_TABLE_HEADER_BYTES` bytes of a table of `fileBytes`.
  ///
  /// - Throws: `corrupt` for what is not a table or damaged, `unsupported` for another format, `stale` for another boot.
  static func read(
    _ bytes: UnsafeRawPointer, fileBytes: Int, boot: BootToken
  ) throws(RoostError) -> (TableLayout, TableIdentity) {
    let header = bytes.loadUnaligned(as: roost_table_header.self)
    guard header.magic == ROOST_TABLE_MAGIC else { throw RoostError(.corrupt, "the slot table has no magic number") }
    guard header.format == UInt32(ROOST_TABLE_FORMAT) else {
      throw RoostError(
        .unsupported, "the slot table has format \(header.format), this Roost reads \(ROOST_TABLE_FORMAT)")
    }
    guard header.check == check(bytes) else { throw RoostError(.corrupt, "the slot table's header is damaged") }
    guard BootToken(words: header.boot_token) == boot else {
      throw RoostError(.stale, "the pool was made before this machine's last start")
    }
    let layout = try TableLayout(plan: plan(header))
    // The header's check holds, so a difference is another program's arithmetic, not damage.
    guard layout.byteCount == Int(exactly: header.table_bytes), layout.byteCount <= fileBytes,
      layout.rowsOffset == Int(exactly: header.rows_offset),
      layout.identitiesOffset == Int(exactly: header.identities_offset),
      layout.identityCountMax == Int(header.identity_count_max),
      layout.plan.slotCountMax == Int(header.slot_count_max), let capacity = Int(exactly: header.capacity_bytes)
    else { throw RoostError(.corrupt, "the slot table is shorter than its header says, or laid out differently") }
    let identity = TableIdentity(
      boot: boot, user: header.user, poolToken: header.pool_token, contentToken: header.content_token,
      capacityBytes: capacity, isKept: header.keep != 0)
    return (layout, identity)
  }

  /// The plan that a header describes, with every number checked, so that no later arithmetic overflows.
  private static func plan(_ header: roost_table_header) throws(RoostError) -> ChunkPlan {
    let damaged = RoostError(.corrupt, "the slot table's header makes no sense")
    let classCount = Int(header.class_count)
    guard classCount >= 1, classCount <= Limits.slotClassCountMax else { throw damaged }
    let classes = header.classes
    let entries = withUnsafeBytes(of: classes) { bytes in
      Array(bytes.bindMemory(to: roost_table_class.self).prefix(classCount))
    }
    var sizes: [SlotSize] = []
    for entry in entries {
      guard let bytes = Int(exactly: entry.slot_bytes), bytes > 0, bytes <= Limits.slotByteCountMax else {
        throw damaged
      }
      let size = SlotSize(slotBytes: bytes)
      guard size.strideBytes == Int(exactly: entry.stride_bytes) else { throw damaged }
      sizes.append(size)
    }
    let chunkCount = Int(header.chunk_count)
    guard chunkCount >= 1, chunkCount <= Limits.chunkCountMax, let chunk = Int(exactly: header.chunk_bytes),
      let stride = Int(exactly: header.chunk_stride_bytes), let last = Int(exactly: header.last_chunk_bytes),
      chunk > 0, last > 0, last <= chunk, chunk <= stride, stride <= 2 * Limits.capacityBytesMax,
      chunk % Limits.pageBytes == 0, last % Limits.pageBytes == 0
    else { throw damaged }
    var plan = ChunkPlan(
      sizes: sizes, chunkBytes: chunk, lastChunkBytes: last, chunkCount: chunkCount,
      slotCountMax: Int(header.slot_count_max))
    // Anonymous pools on reserved huge pages have larger strides than the rule gives.
    guard stride % Limits.hugePageBytes == 0, stride - chunk < 1 << 34 else { throw damaged }
    plan.chunkStrideBytes = stride
    guard plan.byteCount <= 2 * Limits.capacityBytesMax, plan.slotCountMax >= 1,
      plan.slotCountMax <= Limits.slotCountMax, plan.slotCountMax == Int(header.slot_count_max)
    else { throw damaged }
    return plan
  }
}
