import RoostPrimitives

/// The size of a slot and the distance to the next one.
struct SlotSize: Hashable, Sendable {
  var slotBytes: Int
  var strideBytes: Int

  init(slotBytes: Int) {
    let alignment = slotBytes >= Limits.pageAlignedSlotBytesMin ? Limits.pageBytes : Limits.smallSlotAlignmentBytes
    self.slotBytes = slotBytes
    strideBytes = slotBytes.roundedUp(to: alignment)
  }
}

extension Int {
  /// The smallest multiple of `step` that is not smaller.
  func roundedUp(to step: Int) -> Int { (self + step - 1) / step * step }
  /// The largest multiple of `step` that is not larger.
  func roundedDown(to step: Int) -> Int { self / step * step }
}

/// How a pool's capacity is divided into chunks. A pure value.
///
/// With one slot size every chunk is a whole number of slots, so that exactly `capacity / slot` slots come out. With
/// several, any chunk may be cut for any of them and what is left over (less than a slot a chunk) is not used.
struct ChunkPlan: Hashable, Sendable {
  /// The slot sizes, by class.
  var sizes: [SlotSize]
  /// Bytes of every chunk but the last.
  var chunkBytes: Int
  /// Bytes of the last chunk.
  var lastChunkBytes: Int
  /// How many chunks.
  var chunkCount: Int
  /// The distance from one chunk to the next in address space.
  var chunkStrideBytes: Int
  /// What every chunk's address is a multiple of.
  var alignmentBytes = Limits.hugePageBytes
  /// The most slots that come out: all of them with one size, if every chunk is cut for the smallest with several.
  var slotCountMax: Int

  /// Divides a valid configuration's capacity. No file may be larger than `fileBytesMax`.
  ///
  /// - Throws: `invalidInput` if the capacity or the chunk is smaller than a slot, or there are too many slots;
  ///   `outOfResources` if no slot fits in a file.
  init(_ configuration: PoolConfiguration, fileBytesMax: Int = .max) throws(RoostError) {
    sizes = configuration.slotByteCounts.map(SlotSize.init)
    var granule = Limits.pageBytes
    if case .reserved(let pageBytes) = configuration.hugePages { granule = max(granule, pageBytes) }
    let largest = sizes.map(\.strideBytes).max() ?? 1
    let capacity = configuration.capacity.bytes
    guard capacity >= largest else {
      throw RoostError(
        .invalidInput,
        "a pool of \(ByteCount(capacity)) does not hold one slot of \(ByteCount(largest)); ask for a larger pool")
    }
    if let chosen = configuration.chunkByteCount, chosen < largest || chosen > Limits.capacityBytesMax {
      throw RoostError(
        .invalidInput, "a chunk of \(ByteCount(chosen)) does not hold one slot of \(ByteCount(largest))")
    }
    let automatic = max(
      Limits.chunkBytesMin, capacity / Limits.chunkCountTarget, largest * Limits.slotsPerChunkMin)
    let wanted = min(configuration.chunkByteCount ?? automatic, capacity).roundedUp(to: granule)
    let target = min(wanted, fileBytesMax.roundedDown(to: granule))
    guard target >= largest else {
      throw RoostError(
        .outOfResources,
        "no slot of \(ByteCount(largest)) fits in a file of \(ByteCount(fileBytesMax)), the limit of this process; "
          + "raise it (ulimit -f unlimited)")
    }
    if sizes.count == 1 {
      let slotCount = capacity / largest
      chunkBytes = (target / largest * largest).roundedUp(to: granule)
      let slotsPerChunk = chunkBytes / largest
      chunkCount = (slotCount - 1) / slotsPerChunk + 1
      lastChunkBytes = ((slotCount - (chunkCount - 1) * slotsPerChunk) * largest).roundedUp(to: granule)
      slotCountMax = slotCount
    } else {
      chunkBytes = target
      chunkCount = (capacity - 1) / target + 1
      lastChunkBytes = (capacity - (chunkCount - 1) * target).roundedUp(to: granule)
      slotCountMax = .max
    }
    alignmentBytes = max(Limits.hugePageBytes, granule)
    chunkStrideBytes = chunkBytes.roundedUp(to: alignmentBytes)
    slotCountMax = min(slotCountMax, slotsThatFit)
    limit(chunkCount: Limits.chunkCountMax)
    guard slotCountMax <= Limits.slotCountMax else {
      throw RoostError(
        .invalidInput, "\(slotCountMax) slots are more than one pool may have, \(Limits.slotCountMax); use larger slots"
      )
    }
  }

  /// Restores a plan as a table says it was.
  init(sizes: [SlotSize], chunkBytes: Int, lastChunkBytes: Int, chunkCount: Int, slotCountMax: Int? = nil) {
    self.sizes = sizes
    self.chunkBytes = chunkBytes
    self.lastChunkBytes = lastChunkBytes
    self.chunkCount = chunkCount
    chunkStrideBytes = chunkBytes.roundedUp(to: alignmentBytes)
    self.slotCountMax = .max
    self.slotCountMax = min(slotCountMax ?? .max, slotsThatFit)
  }

  /// Leaves out the chunks from `chunkCount` on.
  mutating func limit(chunkCount limit: Int) {
    guard limit < chunkCount else { return }
    chunkCount = limit
    lastChunkBytes = chunkBytes
    slotCountMax = min(slotCountMax, slotsThatFit)
  }

  /// The bytes of a chunk, all of it usable.
  func byteCount(of chunk: Int) -> Int { chunk == chunkCount - 1 ? lastChunkBytes : chunkBytes }

  /// The bytes of all chunks.
  var byteCount: Int { (chunkCount - 1) * chunkBytes + lastChunkBytes }

  /// Address space for all chunks.
  var addressSpaceBytes: Int { chunkCount * chunkStrideBytes }

  /// The distance between the smallest slots.
  var smallestStrideBytes: Int { sizes.map(\.strideBytes).min() ?? 1 }

  /// The distance between the largest slots: a chunk smaller than this may be useless.
  var largestStrideBytes: Int { sizes.map(\.strideBytes).max() ?? 1 }

  /// Slots of a class that a chunk of `bytes` holds.
  func slotCount(of slotClass: Int, in bytes: Int) -> Int { bytes / sizes[slotClass].strideBytes }

  private var slotsThatFit: Int {
    (chunkCount - 1) * (chunkBytes / smallestStrideBytes) + lastChunkBytes / smallestStrideBytes
  }
}
