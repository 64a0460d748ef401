import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

@Suite struct AttachmentTests {
  /// Takes events until one fits.
  static func event<Result>(_ pool: Pool, _ fitting: (PoolEvent) -> Result?) throws -> Result {
    let deadline = Scratch.deadline
    while !deadline.hasPassed() {
      for event in pool.events(until: deadline) {
        if let result = fitting(event) { return result }
      }
    }
    throw RoostError(.timedOut, "the event did not come")
  }

  static func joined(_ pool: Pool) throws -> AttachmentID {
    try event(pool) { if case .joined(let id, _) = $0 { id } else { nil } }
  }

  @Test(arguments: [false, true]) func seesTheOwnersPagesAndIsSeen(inDirectory: Bool) throws {
    try Scratch.withDirectory { path in
      let pool = try Pool.open(
        Scratch.configuration(capacity: 8 << 20, slots: [64 << 10], in: inDirectory ? path : nil))
      defer { pool.close() }
      let slots = try Scratch.cutAll(pool)
      for slot in slots { Scratch.fill(pool.memory.bytes(of: slot), seed: UInt64(slot.rawValue)) }
      let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
      #expect(try Self.joined(pool) == worker.id)
      for slot in slots {
        #expect(Scratch.isFilled(worker.memory.bytes(of: slot), seed: UInt64(slot.rawValue)))
        Scratch.fill(worker.memory.bytes(of: slot), seed: ~UInt64(slot.rawValue))
        #expect(Scratch.isFilled(pool.memory.bytes(of: slot), seed: ~UInt64(slot.rawValue)))
      }
      worker.close()
      #expect(try Self.event(pool) { if case .gone(let id) = $0 { id } else { nil } } == worker.id)
    }
  }

  @Test func carriesMessagesBothWaysInOrder() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    let id = try Self.joined(pool)
    for length in [0, 1, 4000, Pool.messageByteCountMax] {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7) }
      try bytes.withUnsafeBytes { try pool.send($0, to: id) }
      #expect(try worker.receive(until: Scratch.deadline) == bytes)
      try bytes.withUnsafeBytes { try worker.send($0, until: Scratch.deadline) }
      #expect(try Self.event(pool) { $0 } == .message(id, bytes))
    }
    let long = [UInt8](repeating: 0, count: Pool.messageByteCountMax + 1)
    #expect(throws: RoostError.self) { try long.withUnsafeBytes { try pool.send($0, to: id) } }
    #expect(throws: RoostError.self) { try long.withUnsafeBytes { try worker.send($0, until: Scratch.deadline) } }
    #expect(try worker.receive(until: .after(seconds: 0.01)) == nil)
  }

  @Test func hearsOfChunksAndCutsBeforeTheMessageThatNamesTheirSlots() throws {
    var configuration = Scratch.configuration(capacity: 16 << 20, slots: [256 << 10, 64 << 10])
    configuration.chunkByteCount = 1 << 20
    let pool = try Pool.open(configuration)
    defer { pool.close() }
    let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    let id = try Self.joined(pool)
    for slotClass in [0, 1, 1, 0] {
      _ = pool.wait(forBytes: 16 << 20, until: Scratch.deadline)
      guard case .slots(let slots) = pool.cut(slotClass) else { throw RoostError(.notFound, "no slots") }
      Scratch.fill(pool.memory.bytes(of: SlotNumber(rawValue: slots.upperBound - 1)), seed: 5)
      try withUnsafeBytes(of: slots.upperBound) { try pool.send($0, to: id) }
      let message = try #require(try worker.receive(until: Scratch.deadline))
      let end = message.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
      let last = SlotNumber(rawValue: end - 1)
      #expect(worker.memory.isKnown(last) && !worker.memory.isKnown(SlotNumber(rawValue: end)))
      #expect(worker.memory.slotClass(of: last) == slotClass)
      #expect(Scratch.isFilled(worker.memory.bytes(of: last), seed: 5))
    }
  }

  @Test func readsRowsThatTheOwnerWrites() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let slot = try #require(try Scratch.cutAll(pool).first)
    let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    #expect(worker.row(of: slot) == nil)
    let row = SlotRow(slot: slot, generation: 7, state: .ready, key: Scratch.key(1), byteCount: 64 << 10)
    pool.write(row)
    #expect(worker.row(of: slot) == row && pool.row(of: slot) == row)
    pool.clear(slot)
    #expect(worker.row(of: slot) == nil)
  }
}
