import RoostPrimitives
import Testing

@testable import RoostPool

@Suite struct ChunkPlanTests {
  @Test func everyPlanHoldsWhatItPromises() throws {
    var random = SplitMix64(seed: 21)
    for round in 0..<1000 {
      let sizes = Set((0...(random.next() % 3)).map { _ in 1 + Int(random.next() % (1 << (6 + random.next() % 20))) })
      let largest = sizes.map { SlotSize(slotBytes: $0).strideBytes }.max() ?? 0
      var configuration = PoolConfiguration(
        name: "x", capacity: ByteCount(largest + Int(random.next() % (1 << (20 + random.next() % 18)))),
        slotByteCounts: sizes.sorted())
      if random.next() % 4 == 0 { configuration.chunkByteCount = largest + Int(random.next() % (8 << 20)) }
      if random.next() % 8 == 0 { configuration.hugePages = .reserved(byteCount: 2 << 20) }
      let fileBytesMax = random.next() % 4 == 0 ? largest.roundedUp(to: 2 << 20) + Int(random.next() % (1 << 30)) : .max
      let plan: ChunkPlan
      do {
        plan = try ChunkPlan(configuration, fileBytesMax: fileBytesMax)
      } catch {
        // Only a pool of too many slots is refused here.
        #expect(configuration.capacity.bytes / (sizes.min() ?? 1) > Limits.slotCountMax / 2, "round \(round): \(error)")
        continue
      }
      let capacity = configuration.capacity.bytes
      #expect(plan.chunkCount >= 1 && plan.chunkCount <= Limits.chunkCountMax, "round \(round)")
      #expect(plan.lastChunkBytes > 0 && plan.lastChunkBytes <= plan.chunkBytes, "round \(round)")
      #expect(plan.chunkBytes <= fileBytesMax && plan.chunkBytes <= plan.chunkStrideBytes, "round \(round)")
      #expect(plan.chunkStrideBytes % plan.alignmentBytes == 0 && plan.chunkBytes % 4096 == 0, "round \(round)")
      #expect(plan.byteCount == (0..<plan.chunkCount).reduce(0) { $0 + plan.byteCount(of: $1) }, "round \(round)")
      if sizes.count == 1, plan.chunkCount < Limits.chunkCountMax {
        let slots = (0..<plan.chunkCount).reduce(0) { $0 + plan.slotCount(of: 0, in: plan.byteCount(of: $1)) }
        #expect(plan.slotCountMax == capacity / largest && slots >= plan.slotCountMax, "round \(round)")
        let before = slots - plan.slotCount(of: 0, in: plan.lastChunkBytes)
        #expect(before < plan.slotCountMax, "the last chunk is of use, round \(round)")
      } else if plan.chunkCount < Limits.chunkCountMax {
        #expect(plan.byteCount >= capacity, "round \(round)")
        #expect(plan.byteCount < capacity + plan.alignmentBytes, "round \(round)")
      }
    }
  }
}

@Suite struct ChunkLedgerTests {
  static let plan = ChunkPlan(
    sizes: [SlotSize(slotBytes: 4096), SlotSize(slotBytes: 64 << 10)], chunkBytes: 64 << 10, lastChunkBytes: 16 << 10,
    chunkCount: 6)

  /// A plain model: which slot numbers are out, which chunks wait.
  @Test func givesEveryChunkOnceAndEveryNumberOnce() {
    for seed in UInt64(0)..<500 {
      var random = SplitMix64(seed: seed)
      var ledger = ChunkLedger(plan: Self.plan)
      var (waiting, given): (Set<Int>, Set<UInt32>) = ([], [])
      var next = 0
      for _ in 0..<60 {
        switch random.next() % 5 {
        case 0 where next < 6:
          ledger.commit(chunk: next, byteCount: Self.plan.byteCount(of: next))
          waiting.insert(next)
          next += 1
        case 1 where next == 6: ledger.settle()
        default:
          let slotClass = Int(random.next() % 2)
          let fitting = waiting.contains { Self.plan.slotCount(of: slotClass, in: Self.plan.byteCount(of: $0)) > 0 }
          switch ledger.cut(slotClass) {
          case .cut(let piece):
            #expect(waiting.remove(piece.chunk) != nil && piece.slotClass == slotClass, "seed \(seed)")
            let bytes = Self.plan.byteCount(of: piece.chunk)
            #expect(piece.slots.count == Self.plan.slotCount(of: slotClass, in: bytes), "seed \(seed)")
            for slot in piece.slots { #expect(given.insert(slot).inserted, "seed \(seed)") }
          case .notYet: #expect(!fitting && !ledger.isSettled, "seed \(seed)")
          case .exhausted: #expect(!fitting && ledger.isSettled, "seed \(seed)")
          case .restored: Issue.record("nothing was there to restore, seed \(seed)")
          }
        }
        #expect(ledger.committedBytes == (0..<next).reduce(0) { $0 + Self.plan.byteCount(of: $1) })
        #expect(given.count == Int(given.max().map { $0 + 1 } ?? 0), "numbers are dense, seed \(seed)")
        #expect(ledger.rowCountNeeded <= Self.plan.slotCountMax)
      }
    }
  }

  @Test func restoresCutsWhoseMemoryWasLostAndFillsGaps() {
    var ledger = ChunkLedger(plan: Self.plan)
    let present = ChunkLedger.Piece(chunk: 1, slotClass: 0, slots: 16..<32)
    let lost = ChunkLedger.Piece(chunk: 2, slotClass: 1, slots: 32..<33)
    ledger.adopt(present, byteCount: 64 << 10, isPresent: true)
    ledger.adopt(lost, byteCount: 64 << 10, isPresent: false)
    #expect(ledger.committedBytes == 64 << 10)
    #expect(ledger.cut(1) == .notYet)
    ledger.commit(chunk: 2, byteCount: 64 << 10)
    #expect(ledger.cut(0) == .notYet)
    #expect(ledger.cut(1) == .restored(lost))
    ledger.commit(chunk: 0, byteCount: 64 << 10)
    #expect(ledger.cut(0) == .cut(ChunkLedger.Piece(chunk: 0, slotClass: 0, slots: 0..<16)))
    ledger.commit(chunk: 3, byteCount: 64 << 10)
    #expect(ledger.cut(0) == .cut(ChunkLedger.Piece(chunk: 3, slotClass: 0, slots: 33..<49)))
    ledger.settle()
    #expect(ledger.cut(0) == .exhausted)
  }
}
