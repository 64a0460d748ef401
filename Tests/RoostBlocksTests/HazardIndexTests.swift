import RoostPrimitives
import Testing

@testable import RoostBlocks

/// What is special about the hazard index; the traces prove its decisions, the fuzz test its structures.
@Suite struct HazardIndexTests {
  @Test func metadataStaysWithin400BytesASlot() throws {
    // In smaller tables the records for one request weigh more.
    for count in [1_000_000, 10_000_000] {
      let table = try BlockTable(BlockTableConfiguration(slotCountMax: count, policy: HazardIndex.factory))
      #expect(table.bytesPerSlot <= 400, "\(count) slots")
    }
  }

  @Test func leavesGoBeforeTheirParents() throws {
    var cache = try LeastRecentlyUsedTests.Cache(slots: 8, policy: HazardIndex.factory)
    let keys = LeastRecentlyUsedTests.chain(1, 6)
    #expect(try cache.store(keys) == "aaaaaa")
    for left in (1...5).reversed() {
      #expect(cache.table.evict(1, SlotClass(rawValue: 0)) == 1)
      let expected = String(repeating: "r", count: left) + String(repeating: "-", count: 6 - left)
      #expect(cache.states(keys) == expected)
    }
  }

  @Test func blocksThatRepeatInARequestCanStillGo() throws {
    var cache = try LeastRecentlyUsedTests.Cache(slots: 4, policy: HazardIndex.factory)
    let keys = LeastRecentlyUsedTests.chain(1, 2)
    _ = try cache.store([keys[0], keys[1], keys[0], keys[0]])
    #expect(cache.table.evict(2, SlotClass(rawValue: 0)) == 2, "each is the other's parent")
    #expect(cache.table.checkInvariants() == [])
  }

  @Test func aParentWhoseChildIsHeldMakesRoomWhenNothingElseCan() throws {
    var cache = try LeastRecentlyUsedTests.Cache(slots: 3, policy: HazardIndex.factory)
    let keys = LeastRecentlyUsedTests.chain(1, 3)
    #expect(try cache.store(keys) == "aaa")
    let lease = try #require(try cache.load([keys[2]]))
    #expect(cache.table.evict(3, SlotClass(rawValue: 0)) == 2)
    cache.table.end(lease)
    #expect(cache.table.evict(3, SlotClass(rawValue: 0)) == 1)
    #expect(cache.table.checkInvariants() == [])
  }

  @Test func aRequestLongerThanThePoolDoesNotEvictItsOwnTail() throws {
    var cache = try LeastRecentlyUsedTests.Cache(slots: 3, policy: HazardIndex.factory)
    let keys = LeastRecentlyUsedTests.chain(1, 5)
    #expect(try cache.store([keys[4]]) == "a")
    let outcome = try cache.store(keys)
    #expect(outcome.last == "h")
    #expect(cache.states([keys[4]]) == "r")
    #expect(cache.table.checkInvariants() == [])
  }

  @Test func aResetForgetsAllThatWasLearned() throws {
    func letters(_ cache: inout LeastRecentlyUsedTests.Cache) throws -> [String] {
      try (0..<300).map { number in
        try cache.store(LeastRecentlyUsedTests.chain(UInt64(number * number % 37), 1 + number % 7))
      }
    }
    var cache = try LeastRecentlyUsedTests.Cache(slots: 40, policy: HazardIndex.factory)
    let first = try letters(&cache)
    try cache.table.reset()
    #expect(try letters(&cache) == first)
  }
}
