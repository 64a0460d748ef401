import DeviceMock
import RoostPrimitives
import Testing

/// The checker can fail: what must be caught is caught.
@Suite struct CanaryTests {
  @Test(arguments: MockFault.Kind.lies) func aDeviceThatLiesIsCaught(kind: MockFault.Kind) throws {
    var caught = 0
    for seed in 0..<60 as Range<UInt64> {
      let run = try SimulatedRun.chaos(seed: seed, faultCountMax: 200, kinds: [kind])
      if run.complaints.contains(where: { $0.contains("wrong bytes") }) { caught += 1 }
    }
    #expect(caught >= 10, "\(kind) was caught under \(caught) of 60 seeds")
  }

  /// Loads a page and gives the load up before its copy is made; then the slot gets other content. With fences nothing
  /// is reused before the copy has ended; without them the copy, which the mock makes at the last moment, reads the
  /// other content.
  @Test(arguments: [false, true]) func aSlotThatIsReusedUnderARunningCopyIsCaught(ignoresFences: Bool) throws {
    var settings = StageSettings()
    settings.slotCount = 4
    settings.turnsPerCallMax = 0
    let run = SimulatedRun(try Stage(settings, seed: 1), seed: 1)
    run.ignoresFences = ignoresFences
    try store(run, [0, 1, 2, 3])
    let load = try #require(run.beginLoad([0, 1, 2, 3]))
    run.submit(load)
    run.giveUp(load)
    // A store to the same slots, if they are to be had, overtakes the load: it goes the other way, on another stream.
    if let store = run.beginStore([8, 9, 10, 11]) {
      run.submit(store)
      for job in run.requests[store].jobs.keys { run.wait(for: job) }
    }
    run.drain()
    let isCaught = run.complaints.contains { $0.contains("wrong bytes") }
    #expect(isCaught == ignoresFences, "\(run.complaints)")
    if !ignoresFences { try run.conclude() }
  }

  private func store(_ run: SimulatedRun, _ seeds: [UInt64]) throws {
    let index = try #require(run.beginStore(seeds))
    run.submit(index)
    run.drain()
    run.finish(index)
  }
}
