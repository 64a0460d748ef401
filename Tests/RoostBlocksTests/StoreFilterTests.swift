import RoostPrimitives
import Testing

@testable import RoostBlocks

@Suite struct StoreFilterTests {
  @Test(arguments: [2, 3, 255])
  func aKeyPassesAtItsNthRequest(requests: Int) throws {
    var filter = try StoreFilter(requestCountMin: requests, slotCount: 16)
    let key = LeastRecentlyUsedTests.chain(1, 1)[0]
    for number in 1...300 {
      let passes = filter.count(key)
      #expect(passes == (number >= requests), "request \(number)")
    }
  }

  @Test func theKeysAskedForLastAreRemembered() throws {
    var filter = try StoreFilter(requestCountMin: 2, slotCount: 1)
    let keys = LeastRecentlyUsedTests.chain(1, 5)
    for key in keys {
      let passes = filter.count(key)
      #expect(!passes)
    }
    // A bucket has four; the first one was displaced.
    for position in [4, 3, 2, 1] {
      let passes = filter.count(keys[position])
      #expect(passes, "key \(position)")
    }
    let passes = filter.count(keys[0])
    #expect(!passes)
    filter.removeAll()
    let passesAfterwards = filter.count(keys[4])
    #expect(!passesAfterwards)
  }

  @Test func aTableStoresWhatComesBackAndNothingBehindWhatDoesNot() throws {
    var configuration = BlockTableConfiguration(slotCountMax: 8, policy: LeastRecentlyUsed.factory)
    configuration.storeRequestCountMin = 2
    var cache = try LeastRecentlyUsedTests.Cache(configuration)
    let chain = LeastRecentlyUsedTests.chain(1, 4)
    #expect(try cache.store(Array(chain[..<2])) == "rr")
    #expect(try cache.store(chain) == "aarr", "the last two are asked for the first time")
    #expect(try cache.store([chain[0], chain[3], LeastRecentlyUsedTests.chain(2, 1)[0], chain[2]]) == "harr")
    #expect(cache.table.checkInvariants() == [])
  }

  @Test func aCountBeyondEightBitsIsRefused() {
    var configuration = BlockTableConfiguration(slotCountMax: 8, policy: LeastRecentlyUsed.factory)
    for count in [0, 256] {
      configuration.storeRequestCountMin = count
      #expect(throws: RoostError.self) { _ = try BlockTable(configuration) }
    }
  }
}
