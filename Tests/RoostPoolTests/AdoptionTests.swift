import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

@Suite struct AdoptionTests {
  static let digest = IdentityDigest(words: (1, 2, 3, 4))

  /// Stores a page as an engine does: clear, write, seal, publish.
  static func store(_ pool: Pool, _ slot: SlotNumber, seed: UInt64, sealed: Bool = true) {
    pool.clear(slot)
    let bytes = pool.memory.bytes(of: slot)
    Scratch.fill(bytes, seed: seed)
    var row = SlotRow(
      slot: slot, generation: 1, state: sealed ? .sealed : .ready, key: Scratch.key(seed),
      byteCount: UInt32(bytes.count))
    if sealed { row.seal = pool.seal(of: slot) }
    pool.write(row)
  }

  @Test func findsEverySealedPageAgainAndNothingElse() throws {
    try Scratch.withDirectory { path in
      let configuration = Scratch.configuration(capacity: 8 << 20, slots: [64 << 10, 100 << 10], in: path)
      var expected: [SlotRow] = []
      do {
        let pool = try Pool.open(configuration)
        defer { pool.close() }
        #expect(pool.adoption == nil)
        try pool.record(IdentityID(rawValue: 0), Self.digest)
        let slots = try Scratch.cutAll(pool, class: 1)
        for slot in slots.dropLast(2) {
          Self.store(pool, slot, seed: UInt64(slot.rawValue), sealed: slot.rawValue % 3 != 0)
        }
        expected = slots.compactMap { pool.row(of: $0) }.filter { $0.state == .sealed }
      }
      let pool = try Pool.open(configuration)
      defer { pool.close() }
      let adoption = try #require(pool.adoption)
      #expect(adoption.rows == expected && expected.count > 40)
      #expect(adoption.identities == [Self.digest])
      #expect(adoption.ranges.map(\.slots) == [0..<UInt32((8 << 20) / (100 << 10))])
      #expect(adoption.ranges.map(\.slotClass) == [1])
      for row in adoption.rows {
        #expect(pool.check(row.slot, row.seal))
        #expect(Scratch.isFilled(pool.memory.bytes(of: row.slot), seed: UInt64(row.slot.rawValue)))
      }
    }
  }
}
