import DeviceMock
import Glibc
import RoostPrimitives
import Testing

@Suite struct StagedRefusalTests {
  /// Whatever the device refuses: when a load is reported as failed, its owner uses the device pages for something else.
  @Test func aStagedLoadWritesNothingAfterItWasReported() throws {
    var step = 0
    var failedCount = 0
    while true {
      let run = try loadOneRequest(MockFault(.refusal, step: step))
      let request = try #require(run.requests.first)
      let blocks = request.work.map(\.copy.block)
      let before = blocks.map { run.stage.cache.wrongByteCount($0, seed: SimulatedRun.junk) }
      while run.stage.device.step() {}
      let after = blocks.map { run.stage.cache.wrongByteCount($0, seed: SimulatedRun.junk) }
      #expect(before == after, "refusal at step \(step)")
      if !request.failed.isEmpty { failedCount += 1 }
      try run.conclude()
      #expect(run.complaints.isEmpty, "refusal at step \(step)")
      guard let fired = run.stage.allFiredFaults.first else { break }
      step = fired.step + 1
    }
    // The copy and the recording of the event, at least.
    #expect(failedCount >= 2)
  }

  /// Stores four blocks and loads them again, until the load's result was taken. The mock advances only while somebody
  /// waits.
  private func loadOneRequest(_ fault: MockFault) throws -> SimulatedRun {
    var settings = StageSettings()
    settings.isStaged = true
    settings.turnsPerCallMax = 0
    let run = SimulatedRun(try Stage(settings, seed: 1, faults: [fault]), seed: 1)
    // Once more for a store that the fault hit.
    for _ in 0..<2 {
      guard let store = run.beginStore([0, 1, 2, 3]) else { continue }
      run.submit(store)
      run.drain()
      run.finish(store)
    }
    let load = try #require(run.beginLoad([0, 1, 2, 3]))
    run.submit(load)
    let deadline = Stage.soon
    while !run.requests[load].jobs.isEmpty, !deadline.hasPassed() {
      if run.poll() == 0 { usleep(20) }
    }
    return run
  }
}
