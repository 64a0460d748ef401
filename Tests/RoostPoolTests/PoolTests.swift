import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

@Suite struct PoolTests {
  @Test func givesSlotsThatHoldWhatIsWritten() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 8 << 20, slots: [256 << 10]))
    defer { pool.close() }
    let slots = try Scratch.cutAll(pool)
    #expect(slots.count == 32)
    for slot in slots { Scratch.fill(pool.memory.bytes(of: slot), seed: UInt64(slot.rawValue)) }
    for slot in slots { #expect(Scratch.isFilled(pool.memory.bytes(of: slot), seed: UInt64(slot.rawValue))) }
    #expect(pool.cut(0) == .exhausted)
    #expect(pool.capacity == PoolCapacity(requestedBytes: 8 << 20, committedBytes: 8 << 20, isSettled: true))
  }

  @Test func givesExactlyTheSlotsOfOneSizeThatTheCapacityHolds() throws {
    for (capacity, slot) in [
      (1 << 20, 100_000), (70 << 20, 256 << 10), (5120, 4999), (3 << 20, 656 * 61 * 16), (100_000, 1000),
    ] {
      let pool = try Pool.open(Scratch.configuration(capacity: capacity, slots: [slot]))
      defer { pool.close() }
      let stride = SlotSize(slotBytes: slot).strideBytes
      #expect(try Scratch.cutAll(pool).count == capacity / stride, "capacity \(capacity), slot \(slot)")
    }
  }
}
