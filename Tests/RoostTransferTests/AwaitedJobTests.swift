import Foundation
import RoostDevice
import RoostPrimitives
import RoostTransfer
import Testing

/// Jobs that their caller says to wait for.
@Suite struct AwaitedJobTests {
  /// More pieces than are handed to the device at once.
  private func submitLarge(_ direction: TransferDirection, in scene: Scene) throws -> TransferTicket {
    let pages = scene.allPages + [scene.page(0, slot: 0)]
    return try pages.withUnsafeBufferPointer {
      try scene.queue.submit(TransferJob(direction, template: scene.template, isAwaited: true), $0)
    }
  }

  /// The driver's thread of a lane runs, and sleeps.
  private func startDriver(of scene: Scene) throws {
    let ticket = try scene.submit(.store, scene.allPages + [scene.page(0, slot: 0)])
    #expect(try scene.queue.wait(for: ticket, until: patience()).isDone)
    usleep(20_000)
    scene.device.log.withLock { $0.removeAll() }
  }

  @Test func whoWaitsStartsTheJob() throws {
    let scene = try Scene()
    try startDriver(of: scene)
    let before = Memory(copyOf: scene.slots)
    let ticket = try submitLarge(.store, in: scene)
    usleep(50_000)
    #expect(scene.device.copyCalls.isEmpty)
    #expect(scene.slots.equals(before))
    #expect(try scene.queue.wait(for: ticket, until: patience()).isDone)
    #expect(scene.device.copyCalls == [260])
    #expect((0..<Scene.blockCount).allSatisfy { scene.holds($0, block: $0) })
  }

  @Test func aPollHasItStartedWhereNobodyWaits() throws {
    let scene = try Scene()
    try startDriver(of: scene)
    let ticket = try submitLarge(.store, in: scene)
    var results: [TransferResult] = []
    let deadline = patience()
    while results.isEmpty, !deadline.hasPassed() { if scene.queue.poll(into: &results) == 0 { usleep(100) } }
    #expect(results.map(\.ticket) == [ticket])
    #expect(results.allSatisfy { $0.isDone })
  }

  /// Straight and staged: who waits cannot stage.
  @Test(arguments: TransferQueueTests.efficientRuns)
  func manyAwaitedJobsEndInWhateverOrderTheyAreWaitedFor(efficientRunBytes: Int) throws {
    let scene = try Scene(efficientRunBytes: efficientRunBytes)
    let tickets = try (0..<6).map { try submitLarge($0 % 3 == 0 ? .load : .store, in: scene) }
    for ticket in tickets.reversed() {
      let result = try scene.queue.wait(for: ticket, until: patience())
      #expect(result.isDone)
    }
    #expect((0..<Scene.blockCount).allSatisfy { scene.holds($0, block: $0) })
  }

  @Test func anOrdinaryJobBehindItStartsBoth() throws {
    let scene = try Scene()
    let awaited = try submitLarge(.store, in: scene)
    let ordinary = try scene.submit(.store, [scene.page(7, slot: 7)])
    let deadline = patience()
    while scene.device.copyCalls.count < 2, !deadline.hasPassed() { usleep(100) }
    #expect(scene.device.copyCalls == [260, 4])
    for ticket in [awaited, ordinary] {
      let result = try scene.queue.wait(for: ticket, until: patience())
      #expect(result.isDone)
    }
  }
}
