import RoostPrimitives

/// Lets blocks be stored only after they have been asked for a number of times: for hosts whose bandwidth for stores is
/// short, at the price of the hits in between.
///
/// Counts requests by key in a table of fixed size, 16 bytes a slot: buckets of four entries of 24 bits of the key's hash
/// and 8 bits of count, the one asked for last in front; a new key displaces the one that was asked for longest ago. A
/// key that is confused with another one, one in four million, is stored too early. Not thread-safe.
package struct StoreFilter: ~Copyable {
  /// Requests that a block must stand in before it is stored, this one included.
  private let requestCountMin: UInt32
  private let entries: ReservedArray<UInt32>
  private let bucketCount: Int

  private static let bucketWidth = 4

  /// Counts for as many keys as make four a slot.
  ///
  /// - Throws: `outOfResources` when there is not enough address space.
  package init(requestCountMin: Int, slotCount: Int) throws(RoostError) {
    self.requestCountMin = UInt32(requestCountMin)
    bucketCount = max(1, slotCount)
    entries = try ReservedArray(count: bucketCount * StoreFilter.bucketWidth)
  }

  /// The filter that a table was asked for, nil if it was not.
  static func make(_ configuration: BlockTableConfiguration) throws(RoostError) -> StoreFilter? {
    guard configuration.storeRequestCountMin > 1 else { return nil }
    return try StoreFilter(
      requestCountMin: configuration.storeRequestCountMin, slotCount: configuration.slotCountMax)
  }

  /// The memory that a filter has.
  static func bytes(slotCount: Int) -> Int { max(1, slotCount) * bucketWidth * MemoryLayout<UInt32>.stride }

  /// Counts one more request for a key. Whether it has been asked for often enough.
  mutating func count(_ key: Key) -> Bool { note(key) >= requestCountMin }

  /// Counts one more request for a key, and says how many there were, 255 at most.
  package mutating func note(_ key: Key) -> UInt32 {
    let hash = key.tableHash
    let bucket = entries.pointer + Int(hash.multipliedFullWidth(by: UInt64(bucketCount)).high) * StoreFilter.bucketWidth
    // Bits that the choice of the bucket leaves over; never zero, which is an empty entry.
    let tag = UInt32(truncatingIfNeeded: hash) << 8
    var place = 0
    while place < StoreFilter.bucketWidth - 1, bucket[place] == 0 || bucket[place] & ~0xFF != tag { place += 1 }
    let isKnown = bucket[place] != 0 && bucket[place] & ~0xFF == tag
    let count = isKnown ? min(bucket[place] & 0xFF + 1, 0xFF) : 1
    while place > 0 {
      bucket[place] = bucket[place - 1]
      place -= 1
    }
    bucket[0] = tag | count
    return count
  }

  /// How often a key has been asked for, as far as is remembered.
  package func count(of key: Key) -> UInt32 {
    let hash = key.tableHash
    let bucket = entries.pointer + Int(hash.multipliedFullWidth(by: UInt64(bucketCount)).high) * StoreFilter.bucketWidth
    let tag = UInt32(truncatingIfNeeded: hash) << 8
    for place in 0..<StoreFilter.bucketWidth where bucket[place] != 0 && bucket[place] & ~0xFF == tag {
      return bucket[place] & 0xFF
    }
    return 0
  }

  /// Forgets all counts.
  package mutating func removeAll() { entries.zero() }
}
