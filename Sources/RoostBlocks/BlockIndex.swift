import RoostPrimitives

/// Finds the record of a key: open addressing with linear probing, 8 bytes an entry, in raw memory of a fixed size.
///
/// An entry is 32 bits of the key's hash and 32 bits of record number plus one; zero is empty. The 32 hash bits alone
/// give the entry's home bucket (`hash * buckets / 2^32`), so a removal can move later entries back into the gap
/// without looking at a single record: there are no tombstones, and an index that has seen a billion removals is as
/// fast as a new one. Keys themselves are compared in full, in the records.
///
/// The load is at most 4/7: on average 1.7 buckets are looked at for a key that is there, 3.2 for one that is not,
/// nearly always in one cache line. Nothing ever grows or moves as a whole. Not thread-safe.
package struct BlockIndex: ~Copyable {
  private let entries: ReservedArray<UInt64>
  private let bucketCount: Int
  /// Where the keys are: entries lead into this array.
  private let records: UnsafeMutablePointer<BlockRecord>
  /// Keys in the index.
  private(set) var count = 0

  /// Makes an empty index for at most `entryCountMax` of `records`, which must outlive the index.
  package init(entryCountMax: Int, records: borrowing BlockRecords) throws(RoostError) {
    bucketCount = max(16, entryCountMax / 4 * 7 + 7)
    entries = try ReservedArray(count: bucketCount)
    self.records = records.pointer
  }

  var reservedBytes: Int { entries.reservedBytes }

  /// The record of `key`, or `none`.
  package func find(_ key: Key) -> RecordNumber {
    let tag = key.tableHash >> 32
    return probe(key, tag: tag, from: home(tag))
  }

  /// The records of many keys, `none` where there is none.
  ///
  /// Every key goes through three steps: its bucket is asked for, its record is asked for, its key is compared. While
  /// one chunk of keys takes a step, the misses of two others are under way.
  package func find(_ keys: UnsafeBufferPointer<Key>, into found: UnsafeMutablePointer<RecordNumber>) {
    let chunk = Limits.lookupChunk
    var start = 0
    while start < keys.count + 2 * chunk {
      for position in part(keys.count, from: start) { warm(keys[position]) }
      for position in part(keys.count, from: start - chunk) {
        found[position] = candidate(keys[position].tableHash >> 32)
        prefetch(records + Int(found[position].rawValue))
      }
      for position in part(keys.count, from: start - 2 * chunk) where found[position] != .none {
        // Nearly always equal; else another key has the same 32 bits, and the search goes on from its home.
        if records[Int(found[position].rawValue)].key != keys[position] { found[position] = find(keys[position]) }
      }
      start += chunk
    }
  }

  /// Makes `key` lead to `record`, unless it leads to another one already, which is returned then.
  package mutating func insert(_ key: Key, _ record: RecordNumber) -> RecordNumber? {
    let tag = key.tableHash >> 32
    var bucket = home(tag)
    while entries.pointer[bucket] != 0 {
      let entry = entries.pointer[bucket]
      let number = UInt32(truncatingIfNeeded: entry) &- 1
      if entry >> 32 == tag, records[Int(number)].key == key { return RecordNumber(rawValue: number) }
      bucket = next(bucket)
    }
    entries.pointer[bucket] = tag << 32 | UInt64(record.rawValue &+ 1)
    count += 1
    return nil
  }

  /// Removes the entry that leads from `key` to `record`, which must be there, and closes the gap.
  package mutating func remove(_ key: Key, _ record: RecordNumber) {
    let tag = key.tableHash >> 32
    let entry = tag << 32 | UInt64(record.rawValue &+ 1)
    var gap = home(tag)
    while entries.pointer[gap] != entry {
      precondition(entries.pointer[gap] != 0, "the index has lost a key")
      gap = next(gap)
    }
    var bucket = gap
    while true {
      bucket = next(bucket)
      let later = entries.pointer[bucket]
      if later == 0 { break }
      // The entry may move back if its home is not behind the gap.
      if distance(from: home(later >> 32), to: bucket) >= distance(from: gap, to: bucket) {
        entries.pointer[gap] = later
        gap = bucket
      }
    }
    entries.pointer[gap] = 0
    count -= 1
  }

  /// Asks for the cache line where `key` is, so that a removal or insertion soon after does not wait for it.
  @inline(__always) func warm(_ key: Key) { prefetch(entries.pointer + home(key.tableHash >> 32)) }

  /// Removes everything.
  mutating func removeAll() {
    entries.zero()
    count = 0
  }

  /// Whether no bucket is used, tombstones included, if there were any: for tests. O(buckets).
  var isEmptyEverywhere: Bool { (0..<bucketCount).allSatisfy { entries.pointer[$0] == 0 } }

  /// What is wrong, for tests: every entry must be reachable from its home over full buckets. O(buckets).
  func checkInvariants() -> [String] {
    var problems: [String] = []
    var seen = 0
    for bucket in 0..<bucketCount where entries.pointer[bucket] != 0 {
      seen += 1
      let entry = entries.pointer[bucket]
      let record = RecordNumber(rawValue: UInt32(truncatingIfNeeded: entry) &- 1)
      let key = records[Int(record.rawValue)].key
      if key.tableHash >> 32 != entry >> 32 { problems.append("bucket \(bucket) has a tag that is not its key's") }
      if find(key) != record { problems.append("the key of record \(record.rawValue) is not found") }
    }
    if seen != count { problems.append("index counts \(count) entries and has \(seen)") }
    return problems
  }

  /// The chunk that begins at `start`, as far as there are keys.
  @inline(__always) private func part(_ count: Int, from start: Int) -> Range<Int> {
    start >= 0 && start < count ? start..<min(count, start + Limits.lookupChunk) : 0..<0
  }

  @inline(__always) private func home(_ tag: UInt64) -> Int {
    Int(truncatingIfNeeded: (tag &* UInt64(bucketCount)) >> 32)
  }

  @inline(__always) private func next(_ bucket: Int) -> Int { bucket + 1 == bucketCount ? 0 : bucket + 1 }

  @inline(__always) private func distance(from start: Int, to end: Int) -> Int {
    end >= start ? end - start : end - start + bucketCount
  }

  @inline(__always) private func probe(_ key: Key, tag: UInt64, from start: Int) -> RecordNumber {
    var bucket = start
    while true {
      let entry = entries.pointer[bucket]
      if entry == 0 { return .none }
      if entry >> 32 == tag {
        let number = UInt32(truncatingIfNeeded: entry) &- 1
        if records[Int(number)].key == key { return RecordNumber(rawValue: number) }
      }
      bucket = next(bucket)
    }
  }

  /// The first record whose key has these 32 bits, or `none`.
  @inline(__always) private func candidate(_ tag: UInt64) -> RecordNumber {
    var bucket = home(tag)
    var entry = entries.pointer[bucket]
    while entry != 0, entry >> 32 != tag {
      bucket = next(bucket)
      entry = entries.pointer[bucket]
    }
    return RecordNumber(rawValue: UInt32(truncatingIfNeeded: entry) &- 1)
  }
}
