import CRoostPlatform
import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

/// Owners that are killed while they store. What the next one finds is compared with what the killed one noted.
@Suite struct KilledOwnerTests {
  /// Two words a slot: the generation that the killed owner had begun, and the one that it had finished.
  final class Journal {
    let path: String
    private let words: UnsafeMutablePointer<UInt32>
    private let slotCount: Int

    init(_ path: String, slotCount: Int) throws {
      self.path = path
      self.slotCount = slotCount
      let file = open(path, O_RDWR | O_CREAT, 0o600)
      try #require(ftruncate(file, slotCount * 8) == 0)
      let address = try #require(mmap(nil, slotCount * 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0))
      close(file)
      words = address.bindMemory(to: UInt32.self, capacity: slotCount * 2)
    }

    deinit { munmap(words, slotCount * 8) }

    func begun(_ slot: Int) -> UInt32 { words[2 * slot] }
    /// Waits until so many pages more have been begun, or some seconds.
    func await(begun before: [UInt32], and count: Int) {
      let wanted = before.reduce(0) { $0 + Int($1) } + count
      let deadline = Scratch.deadline
      while (0..<slotCount).reduce(0, { $0 + Int(begun($1)) }) < wanted, !deadline.hasPassed() { sched_yield() }
    }

    func finished(_ slot: Int) -> UInt32 { words[2 * slot + 1] }
  }

  /// The generations that may stand in a slot after a kill; nil: none.
  static func possible(begun: UInt32, finished: UInt32, begunBefore: UInt32, standing: UInt32?) -> Set<UInt32?> {
    if begun == begunBefore { return [standing] }
    if begun == finished { return [begun] }
    // Cleared or not, written or not: but never half.
    return [nil, begun, finished > begunBefore ? finished : standing]
  }

  /// Kills a storing owner after it has begun some pages, several times over, and adopts after each kill; until enough
  /// kills fell into the middle of a page to prove something.
  @Test(arguments: [(slotBytes: 512, seed: UInt64(1)), (4096, 2), (64 << 10, 3)])
  func leavesEveryFinishedPageAndNoWrongOne(slotBytes: Int, seed: UInt64) throws {
    try Scratch.withDirectory { path in
      let configuration = Scratch.configuration(capacity: 32 * slotBytes, slots: [slotBytes], in: path)
      let journal = try Journal(path + "/journal", slotCount: 32)
      var random = SplitMix64(seed: seed)
      var begunBefore = [UInt32](repeating: 0, count: 32)
      var standing = [UInt32?](repeating: nil, count: 32)
      var (adopted, interrupted) = (0, 0)
      var round = 0
      while round < 20 || (interrupted <= 10 && round < 400) {
        defer { round += 1 }
        let child = try Child(
          "store",
          [
            "directory": path, "name": configuration.name, "capacity": "\(32 * slotBytes)", "slot": "\(slotBytes)",
            "journal": journal.path, "seed": "\(random.next() >> 8)",
          ])
        try #require(child.line() == "ready 32")
        // The first kill leaves most slots full; the others fall after any number of pages.
        journal.await(begun: begunBefore, and: (round == 0 ? 100 : 0) + Int(random.next() % 100))
        child.kill()
        let pool = try Pool.open(configuration)
        let rows = try Self.checkedRows(pool, "seed \(seed), round \(round)")
        for slot in 0..<32 {
          let (begun, finished) = (journal.begun(slot), journal.finished(slot))
          let possible = Self.possible(
            begun: begun, finished: finished, begunBefore: begunBefore[slot], standing: standing[slot])
          #expect(possible.contains(rows[slot]), "seed \(seed), round \(round), slot \(slot)")
          interrupted += possible.count > 1 ? 1 : 0
          begunBefore[slot] = begun
          standing[slot] = rows[slot]
        }
        adopted += rows.count { $0 != nil }
        pool.close()
      }
      #expect(adopted > 20 * 16 && interrupted > 10, "the kills came too early or too late to prove anything")
    }
  }

  /// The generation of each of 32 adopted slots, every byte of it checked.
  static func checkedRows(_ pool: Pool, _ comment: Comment) throws -> [UInt32?] {
    var result = [UInt32?](repeating: nil, count: 32)
    for row in try #require(pool.adoption).rows {
      let slot = Int(row.slot.rawValue)
      #expect(result[slot] == nil)
      result[slot] = row.generation
      let stamp = UInt64(slot) << 32 | UInt64(row.generation)
      #expect(row.key.words.0 == stamp && row.key.words.1 == ~stamp, comment)
      // The clear comes before the first new byte, so that an adopted row always speaks of whole pages.
      #expect(pool.check(row.slot, row.seal), comment)
      #expect(Scratch.isFilled(pool.memory.bytes(of: row.slot), seed: stamp), comment)
    }
    return result
  }

  @Test func anOwnerKilledWhileItCommitsLeavesAPoolThatOpens() throws {
    try Scratch.withDirectory { path in
      var configuration = Scratch.configuration(capacity: 128 << 20, slots: [64 << 10], in: path)
      configuration.chunkByteCount = 1 << 20
      var random = SplitMix64(seed: 11)
      for _ in 0..<8 {
        let child = try Child(
          "own",
          [
            "directory": path, "name": configuration.name, "capacity": "\(128 << 20)", "slot": "\(64 << 10)",
            "chunk": "\(1 << 20)",
          ])
        usleep(UInt32(random.next() % 60_000))
        child.kill()
        let pool = try Pool.open(configuration)
        #expect(pool.adoption?.rows.isEmpty ?? true)
        pool.close()
      }
      let pool = try Pool.open(configuration)
      defer { pool.close() }
      let adopted = pool.adoption?.ranges.reduce(0) { $0 + $1.slots.count } ?? 0
      #expect(try adopted + Scratch.cutAll(pool).count == 2048)
    }
  }

  @Test func losesItsWorkersWithoutAHang() throws {
    try Scratch.withDirectory { path in
      let name = Scratch.uniqueName()
      let owner = try Child("own", ["directory": path, "name": name])
      try #require(owner.line()?.hasPrefix("ready") == true)
      let address = PoolAddress.directory(path: path, name: name)
      let worker = try PoolAttachment.attach(to: address, until: Scratch.deadline)
      let slot = SlotNumber(rawValue: 0)
      Scratch.fill(worker.memory.bytes(of: slot), seed: 1)
      owner.kill()
      let error = #expect(throws: RoostError.self) { try worker.receive(until: Scratch.deadline) }
      #expect(error?.code == .lost && worker.isOwnerLost)
      #expect(throws: RoostError.self) { try worker.send([1], until: Scratch.deadline) }
      // Its memory is still there: a copy that runs does not crash.
      #expect(Scratch.isFilled(worker.memory.bytes(of: slot), seed: 1))
      #expect(throws: RoostError.self) { try PoolAttachment.attach(to: address, until: Scratch.deadline) }
    }
  }

  @Test func handsOnItsPoolOnlyWhenItsWorkersAreGone() throws {
    try Scratch.withDirectory { path in
      let name = Scratch.uniqueName()
      let owner = try Child("own", ["directory": path, "name": name])
      try #require(owner.line()?.hasPrefix("ready") == true)
      let address = PoolAddress.directory(path: path, name: name)
      let worker = try Child("work", ["address": address.description])
      try #require(worker.line() == "attached")
      owner.kill()
      let directory = try PoolDirectory.open(name: name, in: path)
      // The worker finds its owner lost and ends with an error; until then its lock stands.
      #expect(worker.line()?.hasPrefix("error lost") == true)
      #expect(worker.wait() == 1)
      try directory.waitForFormerMembers(until: .after(seconds: 0))
      let members = try directory.members()
      #expect(roost_file_lock(members.number, 0) == 0)
      let error = #expect(throws: RoostError.self) { try directory.waitForFormerMembers(until: .after(seconds: 0.02)) }
      #expect(error?.code == .busy)
    }
  }
}
