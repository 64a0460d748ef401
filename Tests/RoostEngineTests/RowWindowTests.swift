import Foundation
import RoostBlocks
import RoostPool
import RoostPrimitives
import Synchronization
import Testing

@testable import RoostEngine

/// A row looks empty while it is written. Nobody may take that for its end.
@Suite struct RowWindowTests {
  private final class Shared: Sendable {
    let value = Atomic(0)
  }

  @Test func aPageWhoseRowIsBeingWrittenIsNotTakenForDamaged() throws {
    let harness = try Harness { configuration, _ in configuration.verification = .host }
    let slot = try #require(try harness.store([1]).blocks.first).slot
    let engine = harness.engine
    let pool = try #require(engine.pool)
    let isOver = Shared()
    let writer = try HostThread.start("row-writer") {
      while isOver.value.load(ordering: .acquiring) == 0 {
        // What the sealer does, in slow motion.
        engine.state.withLock { _ in
          guard let row = pool.row(of: slot) else { return }
          pool.clear(slot)
          usleep(100)
          pool.write(row)
        }
        usleep(50)
      }
    }
    for _ in 0..<300 {
      let (lease, grants) = try harness.beginLoad(harness.keys([1]))
      #expect(grants.map(\.outcome) == [.leased])
      engine.end(try #require(lease))
    }
    isOver.value.store(1, ordering: .releasing)
    writer.join()
    #expect(engine.statistics.corrupt == 0)
  }

  @Test func aJobWaitsForTheRowsThatAreBeingWritten() throws {
    let harness = try Harness()
    let block = try #require(try harness.store([1]).blocks.first)
    let pool = try #require(harness.engine.pool)
    let row = try #require(pool.row(of: block.slot))
    var completeCount = 0
    // Most of the rounds, because a thread may be kept from running for longer than a job is patient.
    for _ in 0..<20 {
      let lease = try #require(try harness.beginLoad(harness.keys([1])).lease)
      pool.clear(block.slot)
      let writer = try HostThread.start("row-writer") {
        usleep(1000)
        pool.write(row)
      }
      if try harness.copy(.load, [block], lease).isComplete { completeCount += 1 }
      writer.join()
      harness.engine.end(lease)
    }
    #expect(completeCount > 10)
    // A row that is really empty ends the patience.
    pool.clear(block.slot)
    let lease = try #require(try harness.beginLoad(harness.keys([1])).lease)
    #expect(try harness.copy(.load, [block], lease).failedBlocks == [0])
    pool.write(row)
    harness.engine.end(lease)
  }
}
