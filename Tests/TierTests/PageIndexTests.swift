import RoostPrimitives
import Testing

@testable import TierDisk

@Suite struct PageIndexTests {
  /// Against a dictionary, with keys that share all of what the index looks at first.
  @Test func theIndexFindsWhatADictionaryFinds() throws {
    for seed in 0..<20 as Range<UInt64> {
      var generator = SplitMix64(seed: seed)
      let table = try PageTable(segmentCount: 1, segmentByteCount: 8 << 20)
      var index = PageIndex()
      var truth: [Key: UInt32] = [:]
      var free = Array(0..<500 as Range<UInt32>)
      func key(_ number: UInt64) -> Key {
        Key(identity: IdentityID(rawValue: 0), group: 0, words: (number % 40, number, 0, 0))
      }
      for _ in 0..<3000 {
        let key = key(UInt64.random(in: 0..<400, using: &generator))
        #expect(index.find(key, in: table.records) == truth[key], "seed \(seed)")
        if let record = truth.removeValue(forKey: key) {
          index.remove(record, in: table.records)
          free.append(record)
        } else if let record = free.popLast() {
          table.records[Int(record)].key = key
          index.insert(record, in: table.records)
          truth[key] = record
        }
        #expect(index.count == truth.count)
      }
    }
  }

  @Test func aSlotWastesAtMostAnEighthOfALongPage() {
    var generator = SplitMix64(seed: 3)
    for _ in 0..<2000 {
      let length = Int.random(in: 1...(64 << 20), using: &generator)
      let size = SlotSizes.size(for: length)
      #expect(size >= length && size % 4096 == 0 && SlotSizes.size(for: size) == size)
      #expect(size - length < 4096 || size <= length + length / 8)
    }
    for shift in 12..<30 { #expect(SlotSizes.size(for: 1 << shift) == 1 << shift) }
  }
}

@Suite struct WriteGateTests {
  @Test func theGateShutsForLongerWithEachFailedTrialAndOpensWithAGoodOne() {
    var gate = WriteGate.open
    var answers = [gate.failed(at: 0), gate.failed(at: 5), gate.admits(at: 999_999_999)]
    #expect(answers == [true, false, false])
    answers = [gate.admits(at: 1_000_000_000), gate.admits(at: 1_000_000_001), gate.failed(at: 1_000_000_002)]
    #expect(answers == [true, false, false])
    #expect(gate == .shut(until: 3_000_000_002, pause: 2_000_000_000))
    for _ in 0..<10 {
      guard case .shut(let until, _) = gate else { break }
      _ = gate.admits(at: until)
      _ = gate.failed(at: until)
    }
    guard case .shut(let until, let pause) = gate else {
      Issue.record("the gate is not shut")
      return
    }
    #expect(pause == 60_000_000_000)
    _ = gate.admits(at: until)
    gate.succeeded()
    #expect(gate == .open)
  }

  @Test func aTrialThatFoundNoSlotLeavesTheNextOneAllowed() {
    var gate = WriteGate.shut(until: 10, pause: 100)
    _ = gate.admits(at: 10)
    gate.trialEnded(at: 11)
    let isAllowed = gate.admits(at: 11)
    #expect(isAllowed)
  }
}
