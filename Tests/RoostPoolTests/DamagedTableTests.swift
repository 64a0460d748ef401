import CRoostPlatform
import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

/// Kept pools whose files were spoiled: whatever was done to them, opening does not crash, and no page is returned
/// that does not pass its seal and then proves right.
@Suite struct DamagedTableTests {
  /// A kept pool with eight chunks, two slot sizes, and a sealed page in most slots, closed; its files are remembered.
  struct Specimen {
    let configuration: PoolConfiguration
    let folder: String
    let files: [String: Data]
    let pageCount: Int

    init(in path: String) throws {
      var configuration = Scratch.configuration(capacity: 256 << 10, slots: [4096, 8192], in: path)
      configuration.chunkByteCount = 32 << 10
      self.configuration = configuration
      folder = path + "/\(configuration.name).roost"
      let pool = try Pool.open(configuration)
      try pool.record(IdentityID(rawValue: 0), AdoptionTests.digest)
      _ = pool.wait(forBytes: .max, until: Scratch.deadline)
      var count = 0
      for slotClass in [0, 1, 0, 0, 1, 1] {
        guard case .slots(let slots) = pool.cut(slotClass) else { continue }
        for slot in slots where slot % 7 != 0 {
          AdoptionTests.store(pool, SlotNumber(rawValue: slot), seed: UInt64(slot))
          count += 1
        }
      }
      pageCount = count
      pool.close()
      var files: [String: Data] = [:]
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name != "socket" {
        files[name] = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + name))
      }
      self.files = files
    }

    func restore() throws {
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) where files[name] == nil {
        try FileManager.default.removeItem(atPath: folder + "/" + name)
      }
      for (name, data) in files { try data.write(to: URL(fileURLWithPath: folder + "/" + name)) }
    }

    /// Opens it, checks all that it gives, and uses it. Returns how many good pages there were.
    func openAndCheck(_ comment: Comment) throws -> Int {
      let pool = try Pool.open(configuration)
      defer { pool.close() }
      var good = 0
      var seen: Set<UInt32> = []
      for row in pool.adoption?.rows ?? [] {
        #expect(seen.insert(row.slot.rawValue).inserted, comment)
        guard pool.check(row.slot, row.seal) else { continue }
        good += 1
        let seed = UInt64(row.slot.rawValue)
        #expect(row.key == Scratch.key(seed) && row.generation == 1, comment)
        #expect(pool.adoption?.identities.first == AdoptionTests.digest, comment)
        #expect(Scratch.isFilled(pool.memory.bytes(of: row.slot), seed: seed), comment)
      }
      // No slot is there twice, and all can be used.
      var slots = Set(pool.adoption?.ranges.flatMap { Array($0.slots) } ?? [])
      #expect(slots.count == pool.adoption?.ranges.reduce(0) { $0 + $1.slots.count } ?? 0, comment)
      for slot in try Scratch.cutAll(pool) {
        #expect(slots.insert(slot.rawValue).inserted, comment)
        #expect(pool.row(of: slot) == nil, comment)
      }
      for slot in slots { AdoptionTests.store(pool, SlotNumber(rawValue: slot), seed: 1) }
      return good
    }
  }

  @Test func randomDamageToTheTableIsDroppedAndNothingWrongReturned() throws {
    Log.level = .error
    try Scratch.withDirectory { path in
      let specimen = try Specimen(in: path)
      #expect(try specimen.openAndCheck("undamaged") == specimen.pageCount)
      let table = try #require(specimen.files["table"])
      var survivors = 0
      for seed in UInt64(0)..<250 {
        try specimen.restore()
        var random = SplitMix64(seed: seed)
        let damaged = TableDamage.spoil(table, &random)
        try damaged.write(to: URL(fileURLWithPath: specimen.folder + "/table"))
        survivors += try specimen.openAndCheck("seed \(seed)")
      }
      // Most damage hits few rows; a pool that drops everything would pass all else.
      #expect(survivors > 250 * specimen.pageCount / 4)
    }
  }

  @Test func damageToChunksCostsTheirPagesOnly() throws {
    Log.level = .error
    try Scratch.withDirectory { path in
      let specimen = try Specimen(in: path)
      for seed in UInt64(1000)..<1060 {
        try specimen.restore()
        var random = SplitMix64(seed: seed)
        let name = specimen.folder + "/chunk-000\(random.next() % 6)"
        switch random.next() % 5 {
        case 0: try FileManager.default.removeItem(atPath: name)
        case 1: truncate(name, Int(random.next() % (32 << 10)))
        case 2: truncate(name, 0)
        case 3:
          // A hole where a page was: the size is right, the memory is not there.
          truncate(name, 0)
          truncate(name, 32 << 10)
        default:
          var data = try Data(contentsOf: URL(fileURLWithPath: name))
          data[Int(random.next() % UInt64(data.count))] ^= 1
          try data.write(to: URL(fileURLWithPath: name))
        }
        let good = try specimen.openAndCheck("seed \(seed)")
        #expect(good >= specimen.pageCount - 8 && good <= specimen.pageCount, "seed \(seed)")
      }
    }
  }

  @Test func aChunkWithAHoleIsNotTakenForAWholeOne() throws {
    try Scratch.withDirectory { path in
      let specimen = try Specimen(in: path)
      let name = specimen.folder + "/chunk-0000"
      truncate(name, 0)
      truncate(name, 32 << 10)
      let pool = try Pool.open(specimen.configuration)
      defer { pool.close() }
      #expect(pool.adoption?.droppedChunkCount == 1 && pool.adoption?.ranges.count == 5)
      // Its slots come back, empty, when it has been allocated again.
      #expect(try Scratch.cutAll(pool).prefix(8).map(\.rawValue) == Array(0..<8))
    }
  }

  @Test func twoChunksThatClaimTheSameSlotsAreBothDropped() throws {
    Log.level = .error
    try Scratch.withDirectory { path in
      let specimen = try Specimen(in: path)
      do {
        let directory = try PoolDirectory.open(name: specimen.configuration.name, in: path)
        let kept = try KeptTable(in: directory, boot: try BootToken.current())
        let table = try SlotTable(
          file: kept.file, layout: kept.layout, poolToken: kept.identity.poolToken, isWritable: true)
        let first = try #require(table.cut(chunk: 0))
        table.setCut(
          ChunkLedger.Piece(chunk: 2, slotClass: 0, slots: first.piece.slots), byteCount: first.byteCount)
        directory.release()
      }
      let pool = try Pool.open(specimen.configuration)
      #expect(pool.adoption?.droppedChunkCount == 2)
      #expect(pool.adoption?.rows.contains { $0.slot.rawValue < 8 } == false)
      pool.close()
      _ = try specimen.openAndCheck("afterwards")
    }
  }

  @Test func aPoolWhoseTableIsMissingOrNoFileStartsEmpty() throws {
    Log.level = .error
    try Scratch.withDirectory { path in
      let specimen = try Specimen(in: path)
      let table = specimen.folder + "/table"
      try FileManager.default.removeItem(atPath: table)
      #expect(try specimen.openAndCheck("missing") == 0)
      try specimen.restore()
      try FileManager.default.removeItem(atPath: table)
      try FileManager.default.createSymbolicLink(atPath: table, withDestinationPath: "/etc/passwd")
      #expect(try specimen.openAndCheck("link") == 0)
    }
  }

  @Test func aHeaderWithAGoodCheckAndBadNumbersIsRefused() throws {
    Log.level = .error
    try Scratch.withDirectory { path in
      let specimen = try Specimen(in: path)
      let changes: [(inout roost_table_header) -> Void] = [
        { $0.chunk_count = 0 }, { $0.chunk_count = .max }, { $0.chunk_bytes = .max }, { $0.chunk_bytes = 0 },
        { $0.chunk_stride_bytes = 1 }, { $0.chunk_stride_bytes = .max }, { $0.last_chunk_bytes = 0 },
        { $0.last_chunk_bytes = 1 << 40 }, { $0.class_count = 0 }, { $0.class_count = 65 }, { $0.slot_count_max = 1 },
        { $0.identity_count_max = .max }, { $0.rows_offset = .max }, { $0.table_bytes = .max },
        { $0.classes.0.slot_bytes = 0 }, { $0.classes.0.slot_bytes = .max }, { $0.classes.1.stride_bytes = 1 },
        { $0.format = 2 }, { $0.magic = 0 }, { $0.user = 12345 }, { $0.capacity_bytes = .max },
      ]
      for (index, change) in changes.enumerated() {
        try specimen.restore()
        try TableDamage.rewriteHeader(specimen.folder + "/table", change)
        #expect(try specimen.openAndCheck("change \(index)") == 0, "change \(index)")
      }
    }
  }
}
