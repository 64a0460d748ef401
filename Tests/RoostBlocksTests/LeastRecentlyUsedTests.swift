import RoostPrimitives
import Testing

@testable import RoostBlocks

/// What users of the table see of LRU, story by story; the model test covers the combinations.
@Suite struct LeastRecentlyUsedTests {
  struct Cache: ~Copyable {
    var table: BlockTable

    init(slots: UInt32, policy: PolicyFactory = LeastRecentlyUsed.factory) throws {
      table = try BlockTable(
        BlockTableConfiguration(slotCountMax: Int(slots), policy: policy, reportsChanges: false))
      table.addSlots(0..<slots, SlotClass(rawValue: 0))
    }

    init(_ configuration: BlockTableConfiguration) throws {
      table = try BlockTable(configuration)
      table.addSlots(0..<UInt32(configuration.slotCountMax), SlotClass(rawValue: 0))
    }

    /// Stores and publishes; the outcomes as one letter each.
    mutating func store(_ keys: [Key], request: UInt64 = 0) throws -> String {
      let (text, lease) = try begin(keys, request: request)
      if let lease { table.commit(lease) }
      return text
    }

    mutating func begin(_ keys: [Key], request: UInt64 = 0) throws -> (String, LeaseID?) {
      let grants = UnsafeMutableBufferPointer<StoreGrant>.allocate(capacity: keys.count)
      defer { grants.deallocate() }
      let origin = RequestOrigin(request: RequestID(rawValue: request), time: 0)
      let lease = try keys.withUnsafeBufferPointer { keys in
        try table.beginStore(StoreRequest(origin: origin, keys: keys, slotClass: SlotClass(rawValue: 0)), into: grants)
      }
      let letters: [StoreGrant.Outcome: String] = [.held: "h", .admitted: "a", .refused: "r"]
      return (grants.prefix(keys.count).map { letters[$0.outcome]! }.joined(), lease)
    }

    mutating func load(_ keys: [Key]) throws -> LeaseID? {
      let grants = UnsafeMutableBufferPointer<LoadGrant>.allocate(capacity: keys.count)
      defer { grants.deallocate() }
      return try keys.withUnsafeBufferPointer { keys in
        try table.beginLoad(keys, RequestOrigin(request: RequestID(rawValue: 1), time: 0), into: grants)
      }
    }

    /// One letter a key: ready, pending, absent.
    mutating func states(_ keys: [Key]) -> String {
      let states = UnsafeMutableBufferPointer<KeyState>.allocate(capacity: keys.count)
      defer { states.deallocate() }
      keys.withUnsafeBufferPointer { _ = table.match($0, into: states) }
      let letters: [KeyState: String] = [.ready: "r", .pending: "p", .absent: "-"]
      return states.prefix(keys.count).map { letters[$0]! }.joined()
    }
  }

  static func chain(_ number: UInt64, _ length: Int) -> [Key] {
    (0..<UInt64(length)).map { Key(numbered: number << 32 | $0) }
  }

  @Test func tailsGoBeforeHeads() throws {
    var cache = try Cache(slots: 6)
    let (old, new) = (Self.chain(1, 4), Self.chain(2, 4))
    #expect(try cache.store(old) == "aaaa")
    #expect(try cache.store(new) == "aaaa")
    #expect(cache.states(old) == "rr--")
  }

  @Test func nothingIsVisibleBeforeTheCommit() throws {
    var cache = try Cache(slots: 4)
    let keys = Self.chain(1, 3)
    let (_, lease) = try cache.begin(keys)
    #expect(cache.states(keys) == "ppp")
    #expect(try cache.load(keys) == nil)
    #expect(cache.table.commit(try #require(lease)) == .published)
    #expect(cache.states(keys) == "rrr")
  }

  @Test func aRequestLongerThanThePoolKeepsItsHeadAndNeverEvictsItself() throws {
    var cache = try Cache(slots: 4)
    #expect(try cache.store(Self.chain(1, 2)) == "aa")
    #expect(try cache.store(Self.chain(1, 7)) == "hhaarrr")
    #expect(cache.states(Self.chain(1, 7)) == "rrrr---")
    #expect(cache.table.statistics.evicted == 0)
  }

  @Test func whatCannotFitEvictsNothingInVain() throws {
    var cache = try Cache(slots: 4)
    let held = Self.chain(1, 3)
    #expect(try cache.store(held) == "aaa")
    #expect(try cache.store(Self.chain(2, 1)) == "a")
    let lease = try cache.load(held)
    // One slot can be had, so one victim goes and one block is let in.
    #expect(try cache.store(Self.chain(3, 3)) == "arr")
    #expect(cache.table.statistics.evicted == 1)
    #expect(try cache.begin(Self.chain(4, 2)).0 == "ar")
    #expect(try cache.begin(Self.chain(5, 2)).0 == "rr")
    #expect(cache.states(held) == "rrr")
    cache.table.end(try #require(lease))
  }

  @Test func aHeldBlockIsMetOnceAndReturnsToTheOldEnd() throws {
    var cache = try Cache(slots: 4)
    let (held, others) = (Self.chain(1, 2), Self.chain(2, 2))
    _ = try cache.store(held)
    let lease = try #require(try cache.load(held))
    _ = try cache.store(others)
    #expect(try cache.store(Self.chain(3, 1)) == "a")
    let policy = try #require(cache.table.policy(SlotClass(rawValue: 0)) as? LeastRecentlyUsed)
    // The scan met both held blocks and left them out of the list.
    #expect(policy.order.count == 2)
    cache.table.end(lease)
    #expect(policy.order.count == 4)
    #expect(try cache.store(Self.chain(4, 2)) == "aa")
    #expect(cache.states(held) == "--", "the held blocks were the oldest")
    #expect(cache.table.checkInvariants() == [])
  }

  @Test func anAbortedStoreLeavesNothingAndABlockUnderCopyIsNotReused() throws {
    var cache = try Cache(slots: 2)
    let keys = Self.chain(1, 2)
    let lease = try #require(try cache.begin(keys, request: 9).1)
    cache.table.copiesBegan(lease, attachment: 5)
    #expect(cache.table.reclaim(RequestID(rawValue: 9)) == 1)
    #expect(cache.states(keys) == "--")
    #expect(try cache.store(keys) == "rr", "the copies may still be writing")
    #expect(cache.table.commit(lease) == .stale)
    #expect(cache.table.attachmentGone(5) == 1)
    #expect(cache.table.copiesEnded(lease, attachment: 5) == .stale)
    #expect(try cache.store(keys) == "aa")
  }

  @Test func lookingUpAndLoadingDoNotChangeTheOrder() throws {
    var cache = try Cache(slots: 3)
    _ = try cache.store(Self.chain(1, 1))
    _ = try cache.store(Self.chain(2, 1))
    _ = try cache.store(Self.chain(3, 1))
    _ = cache.states(Self.chain(1, 1))
    cache.table.end(try #require(try cache.load(Self.chain(1, 1))))
    _ = try cache.store(Self.chain(4, 1))
    #expect(cache.states(Self.chain(1, 1)) == "-")
  }

  @Test func aTouchKeepsABlock() throws {
    var cache = try Cache(slots: 2)
    _ = try cache.store(Self.chain(1, 1))
    _ = try cache.store(Self.chain(2, 1))
    Self.chain(1, 1).withUnsafeBufferPointer {
      cache.table.touch($0, SlotClass(rawValue: 0), RequestOrigin(request: RequestID(rawValue: 0), time: 0))
    }
    _ = try cache.store(Self.chain(3, 1))
    #expect(cache.states(Self.chain(1, 1)) == "r")
    #expect(cache.states(Self.chain(2, 1)) == "-")
  }

  @Test func backgroundEvictionStopsAtTheWatermark() throws {
    var cache = try Cache(slots: 10)
    _ = try cache.store(Self.chain(1, 10))
    let mark = try Watermark(start: 0.8, stop: 0.5, ratio: 0.4)
    #expect(cache.table.evict(above: mark, SlotClass(rawValue: 0)) == 4)
    #expect(cache.table.evict(above: mark, SlotClass(rawValue: 0)) == 0)
    #expect(cache.states(Self.chain(1, 10)) == "rrrrrr----")
  }

  @Test func metadataStaysWithin160BytesASlot() throws {
    for count in [10_000, 100_000, 1_000_000, 10_000_000] {
      let table = try BlockTable(
        BlockTableConfiguration(slotCountMax: count, policy: LeastRecentlyUsed.factory))
      #expect(table.bytesPerSlot <= 160, "\(count) slots")
    }
  }

  @Test(arguments: [0, -1, 1 << 31, .max])
  func anImpossibleNumberOfSlotsIsRefused(count: Int) {
    #expect(throws: RoostError.self) {
      _ = try BlockTable(BlockTableConfiguration(slotCountMax: count, policy: LeastRecentlyUsed.factory)).bytesPerSlot
    }
  }

  @Test func leasesWithoutEndAreRefusedInsteadOfGrowing() throws {
    var cache = try Cache(slots: 1)
    _ = try cache.store(Self.chain(1, 1))
    for _ in 0..<Limits.leaseCountMax { _ = try cache.load(Self.chain(1, 1)) }
    #expect(throws: RoostError.self) { _ = try cache.load(Self.chain(1, 1)) }
    #expect(throws: RoostError.self) { _ = try cache.store(Self.chain(2, 1)) }
    #expect(cache.table.reclaim(RequestID(rawValue: 1)) == Limits.leaseCountMax)
    #expect(try cache.store(Self.chain(2, 1)) == "a")
    #expect(cache.table.checkInvariants() == [])
  }
}
