import RoostConformance
import RoostPrimitives
import RoostSimulation
import RoostStorage
import Testing

@testable import TierDisk

/// Somebody damages the files of a closed tier, 1,000 times (10,000 in CI, see `Soak`): whatever is read afterwards is
/// exact, and nothing crashes.
@Suite struct CorruptionTests {
  private static let mutationsPerRun = 10

  @Test(arguments: 0..<10 as Range<UInt64>) func noDamageGivesAWrongByte(part: UInt64) throws {
    var outcomes: [PageOutcome.Kind: Int] = [:]
    for seed in Soak.seeds(10, part: part) { try damage(seed, &outcomes) }
    // The damage was real, and was not all there was.
    #expect((outcomes[.corrupt] ?? 0) > 0 && (outcomes[.missing] ?? 0) > 0 && (outcomes[.done] ?? 0) > 1000)
  }

  private func damage(_ seed: UInt64, _ outcomes: inout [PageOutcome.Kind: Int]) throws {
    var generator = SplitMix64(seed: seed)
    let disk = SimulatedDisk(
      seed: seed, capacityBytes: 2 << 20, faults: StorageFaults(), clock: SeededClock(seed: seed))
    let sheets = (0..<24 as Range<UInt64>).map { TierSheet($0, byteCount: [1000, 8192][Int($0 % 2)]) }
    for round in 0..<CorruptionTests.mutationsPerRun {
      let tier = try Scratch.simulated(disk, capacity: 1 << 20, seed: seed)
      do throws(RoostError) {
        _ = try tier.recover(until: .never)
      } catch {
        Issue.record("seed \(seed), round \(round): \(error)")
        return
      }
      for kind in try tier.read(sheets) { outcomes[kind, default: 0] += 1 }
      for kind in try tier.write(sheets) where kind != .done { Issue.record("seed \(seed): a write is \(kind)") }
      // With and without a snapshot.
      if Bool.random(using: &generator) { tier.close(until: .never) } else { disk.kill() }
      mutate(disk, &generator)
      withExtendedLifetime(tier) {}
    }
  }

  private func mutate(_ disk: SimulatedDisk, _ generator: inout SplitMix64) {
    guard let name = disk.fileNames.filter({ $0 != "lock" }).randomElement(using: &generator) else { return }
    // Nearly all of a file's damage should hit what is used.
    disk.edit(name) { bytes in
      let used = min(bytes.count, 112 << 10)
      func place(_ length: Int, _ unit: Int) -> Int {
        Int.random(in: 0...max(0, used - length) / unit, using: &generator) * unit
      }
      guard bytes.count >= 4096 else { return }
      switch Int.random(in: 0..<7, using: &generator) {
      case 0: bytes[place(1, 1)] ^= UInt8(1 << Int.random(in: 0..<8, using: &generator))
      case 1: bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator))
      case 2:
        let length = 512 * Int.random(in: 1...8, using: &generator)
        let start = place(length, 512)
        bytes.replaceSubrange(start..<(start + length), with: [UInt8](repeating: 0, count: length))
      case 3, 4:
        // A header, or a header with the start of its page, over another.
        let length = min(bytes.count, [512, 4096, 8192][Int.random(in: 0..<3, using: &generator)])
        let (from, to) = (place(length, 4096), place(length, 4096))
        bytes.replaceSubrange(to..<(to + length), with: Array(bytes[from..<(from + length)]))
      case 5:
        let length = min(bytes.count, [512, 4096, 12_288][Int.random(in: 0..<3, using: &generator)])
        let (one, two) = (place(length, 4096), place(length, 4096))
        let (first, second) = (Array(bytes[one..<(one + length)]), Array(bytes[two..<(two + length)]))
        bytes.replaceSubrange(one..<(one + length), with: second)
        bytes.replaceSubrange(two..<(two + length), with: first)
      default:
        let start = place(64, 1)
        for index in start..<(start + 64) { bytes[index] = UInt8.random(in: 0...255, using: &generator) }
      }
    }
  }

  /// Headers and segment fronts from noise, and from good ones with a few bytes changed.
  @Test func parsersTakeAnyBytes() {
    var generator = SplitMix64(seed: 11)
    let memory = AlignedMemory(byteCount: 8192)
    let store = StoreID(low: 1, high: 2)
    let sheet = TierSheet(7, byteCount: 5000)
    let place = SlotPlace(segment: 3, index: 4)
    let good = PageHeader(
      state: .live, name: sheet.name, facts: sheet.facts, place: place, epoch: 5, generation: 6, writtenAt: 7)
    var believedCount = 0
    for round in 0..<20_000 {
      good.encode(into: UnsafeMutableRawBufferPointer(rebasing: memory.bytes[..<4096]), store: store)
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        memory.bytes[Int.random(in: 0..<160, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      let decoded = PageHeader.decode(memory.start, store: store, place: place, epoch: 5, slotByteCount: 8192)
      if case .success(let header) = decoded {
        #expect(header == good, "round \(round)")
        believedCount += 1
      }
      for index in memory.bytes.indices where round % 100 == 0 {
        memory.bytes[index] = UInt8.random(in: 0...255, using: &generator)
      }
      if round % 100 == 0 { #expect(SegmentHeader.decode(memory.bytes).header == nil) }
    }
    // A change to the same value is none.
    #expect(believedCount < 500)
  }

  @Test func aHeaderIsReadAsItWasWritten() throws {
    let memory = AlignedMemory(byteCount: 4096)
    for number in 0..<200 as Range<UInt64> {
      let sheet = TierSheet(number, byteCount: Int(number) + 1)
      let place = SlotPlace(segment: UInt32(number), index: UInt32(number * 7))
      let store = StoreID(low: number, high: 9)
      let header = PageHeader(
        state: .live, name: sheet.name, facts: sheet.facts, place: place, epoch: number + 1,
        generation: Limits.generationMax - 1 - number,
        writtenAt: number)
      header.encode(into: memory.bytes, store: store)
      let read = PageHeader.decode(memory.start, store: store, place: place, epoch: number + 1, slotByteCount: 4096)
      #expect(try read.get() == header)
      var excessive = header
      excessive.generation = Limits.generationMax
      excessive.encode(into: memory.bytes, store: store)
      let refused = PageHeader.decode(memory.start, store: store, place: place, epoch: number + 1, slotByteCount: 4096)
      guard case .failure(let fault) = refused, fault.fault == .damaged else {
        Issue.record("a generation was believed that cannot be counted on from")
        continue
      }
      header.encode(into: memory.bytes, store: store)
      var elsewhere = place
      elsewhere.index += 1
      for (place, epoch) in [(elsewhere, number + 1), (place, number)] {
        let fault = PageHeader.decode(memory.start, store: store, place: place, epoch: epoch, slotByteCount: 4096)
        guard case .failure(let error) = fault else {
          Issue.record("a header elsewhere was believed")
          continue
        }
        #expect(error.fault == .elsewhere)
      }
    }
  }
}
