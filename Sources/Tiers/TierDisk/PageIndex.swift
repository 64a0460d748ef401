import RoostPrimitives

/// Finds the record of a key: open addressing with linear probing, 8 bytes an entry (32 bits of hash, record number
/// plus one), at most 4/7 full: 14 to 28 bytes a page. Entries are moved back when one is removed, so there are no
/// tombstones. Not thread-safe.
struct PageIndex {
  private var entries: [UInt64]
  private(set) var count = 0

  init(reserving pageCount: Int = 0) {
    entries = [UInt64](repeating: 0, count: max(16, pageCount / 4 * 7 + 7))
  }

  var reservedBytes: Int { entries.count * 8 }

  func find(_ key: Key, in records: UnsafeMutablePointer<PageRecord>) -> UInt32? {
    let tag = key.tableHash >> 32
    var bucket = home(tag)
    while entries[bucket] != 0 {
      let entry = entries[bucket]
      let record = UInt32(truncatingIfNeeded: entry) &- 1
      if entry >> 32 == tag, records[Int(record)].key == key { return record }
      bucket = next(bucket)
    }
    return nil
  }

  /// Makes the key of `record`, which must not be in the index, lead to it.
  mutating func insert(_ record: UInt32, in records: UnsafeMutablePointer<PageRecord>) {
    if (count + 1) * 7 > entries.count * 4 { grow(in: records) }
    place(records[Int(record)].key.tableHash >> 32, record)
    count += 1
  }

  /// Removes the entry of `record`, which must be there.
  mutating func remove(_ record: UInt32, in records: UnsafeMutablePointer<PageRecord>) {
    let tag = records[Int(record)].key.tableHash >> 32
    var gap = home(tag)
    while entries[gap] != tag << 32 | UInt64(record + 1) {
      precondition(entries[gap] != 0, "the index has lost a page")
      gap = next(gap)
    }
    var bucket = gap
    while true {
      bucket = next(bucket)
      let later = entries[bucket]
      if later == 0 { break }
      if distance(home(later >> 32), bucket) >= distance(gap, bucket) {
        entries[gap] = later
        gap = bucket
      }
    }
    entries[gap] = 0
    count -= 1
  }

  private mutating func grow(in records: UnsafeMutablePointer<PageRecord>) {
    let old = entries
    entries = [UInt64](repeating: 0, count: old.count * 2)
    for entry in old where entry != 0 { place(entry >> 32, UInt32(truncatingIfNeeded: entry) &- 1) }
  }

  private mutating func place(_ tag: UInt64, _ record: UInt32) {
    var bucket = home(tag)
    while entries[bucket] != 0 { bucket = next(bucket) }
    entries[bucket] = tag << 32 | UInt64(record + 1)
  }

  private func home(_ tag: UInt64) -> Int { Int(truncatingIfNeeded: (tag &* UInt64(entries.count)) >> 32) }
  private func next(_ bucket: Int) -> Int { bucket + 1 == entries.count ? 0 : bucket + 1 }
  private func distance(_ start: Int, _ end: Int) -> Int { end >= start ? end - start : end - start + entries.count }
}
