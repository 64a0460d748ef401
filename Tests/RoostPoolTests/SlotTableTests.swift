import CRoostPlatform
import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

@Suite struct SlotTableTests {
  static func table(slots: Int = 64) throws -> SlotTable {
    var configuration = Scratch.configuration(capacity: slots * 4096, slots: [4096])
    configuration.chunkByteCount = slots * 4096
    let layout = TableLayout(plan: try ChunkPlan(configuration))
    let identity = TableIdentity(
      boot: try BootToken.current(), user: 0, poolToken: 77, contentToken: 0, capacityBytes: slots * 4096, isKept: true)
    let table = try SlotTable.create(in: Descriptor(roost_memory_file("test", 0)), layout, identity)
    try table.allocateRows(slots)
    return table
  }

  static func randomRow(_ slot: UInt32, _ random: inout SplitMix64) -> SlotRow {
    var row = SlotRow(
      slot: SlotNumber(rawValue: slot), generation: UInt32(truncatingIfNeeded: random.next()),
      state: [.filling, .ready, .sealed][Int(random.next() % 3)], key: Scratch.key(random.next(), identity: 3),
      byteCount: UInt32(truncatingIfNeeded: random.next()))
    row.representation = UInt32(truncatingIfNeeded: random.next())
    row.seal = Seal(low: random.next(), high: random.next())
    if random.next() % 2 == 0 {
      let length = 16 + Int(random.next() % 17)
      let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      row.key = bytes.withUnsafeBytes { Key(identity: IdentityID(rawValue: 9), group: 65535, hash: $0) }
    }
    return row
  }

  @Test func givesBackEveryRowAsItWasWritten() throws {
    let table = try Self.table()
    var random = SplitMix64(seed: 3)
    for _ in 0..<2000 {
      let slot = UInt32(random.next() % 64)
      let row = Self.randomRow(slot, &random)
      table.write(row)
      #expect(table.row(row.slot) == row)
      if random.next() % 3 == 0 {
        table.clear(row.slot)
        #expect(table.row(row.slot) == nil && !table.isOccupied(row.slot))
      }
    }
  }

  /// Every state that a kill can leave is a prefix of the protocol's stores, the fields between in any order. Each is
  /// made by hand from the row before and the row after; a reader must see one of them, or nothing.
  @Test func noPrefixOfAWriteIsBelieved() throws {
    let table = try Self.table()
    let offset = table.layout.rowOffset(5)
    var random = SplitMix64(seed: 4)
    for _ in 0..<200 {
      let rows = (Self.randomRow(5, &random), Self.randomRow(5, &random))
      let images = try [rows.0, rows.1].map { row in
        table.write(row)
        return try Self.image(table, offset)
      }
      for _ in 0..<50 {
        var torn = images[0]
        let stateBytes = 44..<48
        // Step 1 done, any of step 2's bytes done, step 3 not: the state is empty.
        for index in torn.indices where random.next() % 2 == 0 { torn[index] = images[1][index] }
        for index in stateBytes { torn[index] = 0 }
        try Self.write(torn, table, offset)
        #expect(table.row(rows.0.slot) == nil)
        // Were the state not emptied first, the check would still have to tell.
        torn.replaceSubrange(stateBytes, with: images[Int(random.next() % 2)][stateBytes])
        try Self.write(torn, table, offset)
        let seen = table.row(rows.0.slot)
        #expect(seen == nil || torn == images[0] || torn == images[1])
      }
    }
  }

  @Test func readersNeverSeeHalfARowWhileItIsWritten() throws {
    let table = try Self.table()
    let isDone = Flag()
    let writer = Thread {
      var random = SplitMix64(seed: 5)
      for _ in 0..<200_000 {
        let stamp = random.next()
        var row = SlotRow(
          slot: SlotNumber(rawValue: 1), generation: UInt32(truncatingIfNeeded: stamp), state: .sealed,
          key: Key(identity: IdentityID(rawValue: 0), group: 0, words: (stamp, stamp, stamp, stamp)))
        row.seal = Seal(low: stamp, high: stamp)
        table.write(row)
      }
      isDone.set()
    }
    writer.start()
    var seen = 0
    while !isDone.isSet || seen == 0 {
      guard let row = table.row(SlotNumber(rawValue: 1)) else { continue }
      seen += 1
      let stamp = row.key.words.0
      #expect(row.key.words == (stamp, stamp, stamp, stamp) && row.seal == Seal(low: stamp, high: stamp))
      #expect(row.generation == UInt32(truncatingIfNeeded: stamp))
    }
  }

  @Test func aRowInAnotherPlaceOrOfAnotherPoolIsNotBelieved() throws {
    let table = try Self.table()
    let other = try Self.table()
    var random = SplitMix64(seed: 6)
    table.write(Self.randomRow(2, &random))
    let image = try Self.image(table, table.layout.rowOffset(2))
    try Self.write(image, table, table.layout.rowOffset(3))
    #expect(table.row(SlotNumber(rawValue: 3)) == nil && table.row(SlotNumber(rawValue: 2)) != nil)
    // The same token would make it believable; a real pool's is random.
    try Self.write(image, other, table.layout.rowOffset(2))
    #expect(other.row(SlotNumber(rawValue: 2)) != nil)
  }

  @Test func identitiesAreKeptUntilTheFirstDamagedOne() throws {
    let table = try Self.table()
    for identity in 0..<5 { table.write(IdentityDigest(words: (UInt64(identity), 0, 0, 0)), identity: identity) }
    #expect((0..<6).map { table.digest(identity: $0)?.words.0 } == [0, 1, 2, 3, 4, nil])
    try Self.write([1], table, table.layout.identityOffset(2))
    #expect(table.digest(identity: 2) == nil && table.digest(identity: 1_000_000) == nil)
  }

  static func image(_ table: SlotTable, _ offset: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 80)
    try #require(pread(table.file.number, &bytes, 80, off_t(offset)) == 80)
    return bytes
  }

  static func write(_ bytes: [UInt8], _ table: SlotTable, _ offset: Int) throws {
    try #require(pwrite(table.file.number, bytes, bytes.count, off_t(offset)) == bytes.count)
  }
}
