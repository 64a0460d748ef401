import RoostPrimitives
import Testing

@testable import RoostBlocks

@Suite struct BlockIndexTests {
  /// A key whose hash falls where `crowd` says: equal words.0 give equal hashes, so buckets overflow.
  static func key(_ number: UInt64, crowd: UInt64) -> Key {
    Key(identity: IdentityID(rawValue: 0), group: 0, words: (SplitMix64.mix(number % crowd), number, 0, 0))
  }

  @Test(arguments: [1, 3, 50, 1_000_000] as [UInt64])
  func agreesWithADictionaryThroughInsertionsAndRemovals(crowd: UInt64) throws {
    let seed = crowd
    var random = SplitMix64(seed: seed)
    var records = try BlockRecords(count: 200)
    var index = try BlockIndex(entryCountMax: 200, records: records)
    var expected: [Key: RecordNumber] = [:]
    for step in 0..<6000 {
      let key = BlockIndexTests.key(UInt64.random(in: 0..<300, using: &random), crowd: crowd)
      if let record = expected[key] {
        #expect(index.find(key) == record)
        if Bool.random(using: &random) {
          index.remove(key, record)
          records.release(record)
          expected[key] = nil
        }
      } else {
        #expect(index.find(key) == .none)
        if let record = records.take(key, slotClass: 0) {
          #expect(index.insert(key, record) == nil)
          expected[key] = record
          #expect(index.insert(key, RecordNumber(rawValue: 7)) == record)
        }
      }
      #expect(index.count == expected.count)
      if step % 200 == 0 {
        #expect(index.checkInvariants() == [], "seed \(seed), step \(step)")
        compareBatch(index, expected, crowd)
      }
    }
  }

  @Test func millionsOfRemovalsLeaveNothingBehind() throws {
    var records = try BlockRecords(count: 64)
    var index = try BlockIndex(entryCountMax: 64, records: records)
    for number in 0..<100_000 as Range<UInt64> {
      let key = Key(numbered: number)
      guard let record = records.take(key, slotClass: 0) else { throw NoRecord() }
      _ = index.insert(key, record)
      index.remove(key, record)
      records.release(record)
    }
    #expect(index.count == 0)
    let isEmpty = index.isEmptyEverywhere
    #expect(isEmpty)
    #expect(records.touchedCount == 1)
  }

  @Test func keysThatDifferInOneFieldAreDifferent() throws {
    var records = try BlockRecords(count: 8)
    var index = try BlockIndex(entryCountMax: 8, records: records)
    let words: (UInt64, UInt64, UInt64, UInt64) = (1, 2, 3, 4)
    var keys = [Key(identity: IdentityID(rawValue: 0), group: 0, words: words)]
    keys.append(Key(identity: IdentityID(rawValue: 1), group: 0, words: words))
    keys.append(Key(identity: IdentityID(rawValue: 0), group: 1, words: words))
    keys.append(Key(identity: IdentityID(rawValue: 0), group: 0, words: (1, 2, 3, 5)))
    var short = keys[0]
    short.hashByteCount = 31
    keys.append(short)
    for key in keys {
      guard let record = records.take(key, slotClass: 0) else { throw NoRecord() }
      #expect(index.insert(key, record) == nil)
    }
    for (position, key) in keys.enumerated() { #expect(index.find(key) == RecordNumber(rawValue: UInt32(position))) }
  }

  struct NoRecord: Error {}

  private func compareBatch(_ index: borrowing BlockIndex, _ expected: [Key: RecordNumber], _ crowd: UInt64) {
    for count in [0, 1, 15, 16, 17, 33, 300] {
      let keys = (0..<UInt64(count)).map { BlockIndexTests.key($0, crowd: crowd) }
      let found = UnsafeMutablePointer<RecordNumber>.allocate(capacity: count + 1)
      defer { found.deallocate() }
      found[count] = RecordNumber(rawValue: 4711)
      keys.withUnsafeBufferPointer { index.find($0, into: found) }
      for (position, key) in keys.enumerated() { #expect(found[position] == expected[key] ?? .none) }
      #expect(found[count] == RecordNumber(rawValue: 4711), "wrote beyond the end")
    }
  }
}
