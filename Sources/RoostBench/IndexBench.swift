import RoostBlocks
import RoostPrimitives

/// `roost bench index`: the control plane's cost per block, from 10^4 to 10^7 blocks. Everything is looked at in random
/// order, which is the worst case: a real request's blocks were often used together before.
public enum IndexBench {
  /// The workload.
  public static let bench = Bench(
    name: "index", summary: "look-up, insertion and LRU of the block table, from 10^4 to 10^7 blocks"
  ) { scale throws(RoostError) in
    var results: [BenchResult] = []
    for count in scale == .smoke ? [10_000, 100_000] : [10_000, 100_000, 1_000_000, 10_000_000] {
      results += try measureIndex(count, scale)
      results += try measureTouch(count, scale)
      results += try measureTable(count, scale)
    }
    return results
  }

  /// Keys in a request.
  static let batch = 256
  /// The figures that the design asks for, in ns, at 10^7 blocks.
  static let lookupLimit = 60.0
  static let insertLimit = 120.0
  static let touchLimit = 25.0
  /// Bytes a slot.
  static let metadataLimit = 160.0

  /// Operations in one sample, a multiple of `batch`: about a millisecond, shorter than a turn of the scheduler.
  static func operations(_ scale: BenchScale) -> Int { batch * 64 }
  static func samples(_ scale: BenchScale) -> Int { scale == .smoke ? 5 : 101 }

  static func key(_ number: UInt64) -> Key {
    Key(identity: IdentityID(rawValue: 0), group: 0, words: (SplitMix64.mix(number), number, 0, 0))
  }

  /// A median against a required figure.
  static func result(_ name: String, _ count: Int, limit: Double, _ samples: [Double]) -> BenchResult {
    BenchResult(
      name: "\(name)/\(count)", unit: "ns", samples: samples, reference: "required \(Int(limit)) ns",
      ratios: samples.map { $0 / limit })
  }

  /// The index alone: look-up of keys that are there and that are not, and in steady state removal and insertion.
  static func measureIndex(_ count: Int, _ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    var records = try BlockRecords(count: count)
    var index = try BlockIndex(entryCountMax: count, records: records)
    for number in 0..<UInt64(count) { insert(key(number), &index, &records) }
    var random = SplitMix64(seed: 1)
    let keys = KeyBatches(count: operations(scale))
    var (hits, misses, inserts) = ([Double](), [Double](), [Double]())
    var next = UInt64(count)
    for _ in 0..<samples(scale) {
      keys.fill { _ in key(UInt64.random(in: 0..<UInt64(count), using: &random)) }
      hits.append(try keys.time { batch, found in index.find(batch, into: found) })
      keys.fill { _ in key(random.next() | 1 << 63) }
      misses.append(try keys.time { batch, found in index.find(batch, into: found) })
      // Make room, then insert in the verb's order: look all up, then insert those that are not there.
      let round = min(keys.count, count / 2 / batch * batch)
      for number in 0..<UInt64(round) { remove(key(next - UInt64(count) + number), &index, &records) }
      keys.fill { position in key(next + UInt64(position)) }
      inserts.append(
        try keys.time(first: round) { batch, found in
          index.find(batch, into: found)
          for key in batch { insert(key, &index, &records) }
        })
      next += UInt64(round)
    }
    return [
      result("lookup", count, limit: lookupLimit, hits), result("lookup absent", count, limit: lookupLimit, misses),
      result("insert", count, limit: insertLimit, inserts),
    ]
  }

  /// The policy alone: requests of blocks in random order move to the new end.
  static func measureTouch(_ count: Int, _ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    let policy = try LeastRecentlyUsed(recordCount: count)
    let records = try BlockRecords(count: 1)
    policy.adopted((0..<UInt32(count)).map(RecordNumber.init(rawValue:)))
    let event = RequestEvent(
      origin: RequestOrigin(request: RequestID(rawValue: 0), time: 0), states: BlockStates(records), capacity: count,
      freeSlotCount: 0, newcomerCount: 0, admissionMax: 0)
    var random = SplitMix64(seed: 2)
    var samples: [Double] = []
    var none: [RecordNumber] = []
    for _ in 0..<self.samples(scale) {
      let blocks = (0..<operations(scale)).map { _ in
        RequestBlock(
          record: RecordNumber(rawValue: UInt32.random(in: 0..<UInt32(count), using: &random)), standing: .held)
      }
      let nanoseconds = try ThreadTime.nanoseconds { () throws(RoostError) in
        for start in stride(from: 0, to: blocks.count, by: batch) {
          blocks.withUnsafeBufferPointer { blocks in
            let request = event.over(UnsafeBufferPointer(rebasing: blocks[start..<start + batch]))
            _ = policy.decide(request, victims: &none)
            policy.settle(request, dropped: &none)
          }
        }
      }
      samples.append(nanoseconds / Double(blocks.count))
    }
    return [result("lru touch", count, limit: touchLimit, samples)]
  }

  /// The verbs as the engine calls them, on a full table: match, a store that must evict, a load.
  static func measureTable(_ count: Int, _ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    let table = try TableWorkload(slotCount: count)
    let keys = KeyBatches(count: operations(scale))
    var next: UInt64 = 0
    while next < UInt64(count) {
      keys.fill { position in key(next + UInt64(position)) }
      _ = try keys.time { batch, _ throws(RoostError) in try table.store(batch) }
      next += UInt64(keys.count)
    }
    var random = SplitMix64(seed: 3)
    var (matches, loads, stores) = ([Double](), [Double](), [Double]())
    for _ in 0..<samples(scale) {
      keys.fill { _ in key(UInt64.random(in: next - UInt64(count)..<next, using: &random)) }
      matches.append(try keys.time { batch, _ in table.match(batch) })
      loads.append(try keys.time { batch, _ throws(RoostError) in try table.load(batch) })
      keys.fill { position in key(next + UInt64(position)) }
      stores.append(try keys.time { batch, _ throws(RoostError) in try table.store(batch) })
      next += UInt64(keys.count)
    }
    return [
      BenchResult(name: "match/\(count)", unit: "ns", samples: matches),
      BenchResult(name: "beginLoad+end/\(count)", unit: "ns", samples: loads),
      BenchResult(name: "beginStore+evict+commit/\(count)", unit: "ns", samples: stores),
      BenchResult(
        name: "metadata/\(count)", unit: "B", samples: [table.bytesPerSlot],
        reference: "required \(Int(metadataLimit)) B", ratios: [table.bytesPerSlot / metadataLimit]),
    ]
  }

  private static func insert(_ key: Key, _ index: inout BlockIndex, _ records: inout BlockRecords) {
    // There is room: what is inserted was removed before, and keys do not repeat.
    guard let record = records.take(key, slotClass: 0) else { return }
    _ = index.insert(key, record)
  }

  private static func remove(_ key: Key, _ index: inout BlockIndex, _ records: inout BlockRecords) {
    let record = index.find(key)
    guard record != .none else { return }
    index.remove(key, record)
    records.release(record)
  }
}
