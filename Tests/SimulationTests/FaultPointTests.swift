import DeviceMock
import RoostEngine
import RoostPrimitives
import Testing

/// One fault at a time, of every kind, at every step of storing and loading at which it can happen.
@Suite struct FaultPointTests {
  enum Path: String, CaseIterable {
    case direct, staged, verified
  }

  @Test(arguments: MockFault.Kind.honest, Path.allCases) func everyFaultAtEveryStepIsSurvived(
    kind: MockFault.Kind, path: Path
  ) throws {
    var step = 0
    var runCount = 0
    while true {
      let run = try scenario(path, [MockFault(kind, step: step)])
      #expect(run.complaints.isEmpty, "\(kind) at step \(step), \(path)")
      guard let fired = run.stage.allFiredFaults.first else { break }
      step = fired.step + 1
      runCount += 1
      guard runCount < 2000 else {
        Issue.record("the scenario does not end")
        break
      }
    }
    #expect(runCount >= 4, "\(kind) could happen at \(runCount) steps only")
  }

  /// Stores, loads, and does both at once; then, on a device that works again, everything must be there.
  private func scenario(_ path: Path, _ faults: [MockFault]) throws -> SimulatedRun {
    var settings = StageSettings()
    settings.isStaged = path == .staged
    settings.verification = path == .verified ? .host : .adopted
    settings.turnsPerCallMax = 1
    let run = SimulatedRun(try Stage(settings, seed: 3, faults: faults), seed: 3)
    let (first, second) = (Array(0..<4 as Range<UInt64>), Array(8..<12 as Range<UInt64>))
    try copy(run, storing: first)
    try copy(run, loading: first)
    try copy(run, storing: second, loading: first)
    // The fault has had its chance; from here on nothing may fail.
    let healthy = run.stage.device.stepCount
    for _ in 0..<2 { try copy(run, storing: first + second) }
    let before = run.loadedCount
    try copy(run, loading: first + second)
    let isLate = run.stage.allFiredFaults.contains { $0.step >= healthy }
    if run.loadedCount - before != 8, !isLate {
      run.complain("a healthy device loads \(run.loadedCount - before) of 8")
    }
    try run.conclude()
    return run
  }

  private func copy(_ run: SimulatedRun, storing stored: [UInt64] = [], loading loaded: [UInt64] = []) throws {
    try run.replaceIfLost()
    if !stored.isEmpty { run.beginStore(stored, shardCount: 2) }
    if !loaded.isEmpty { run.beginLoad(loaded) }
    // Two blocks a job, so that jobs follow each other on a stream.
    while run.requests.contains(where: { !$0.waiting.isEmpty }) {
      for index in run.requests.indices { run.submit(index, countMax: 2, computed: true) }
    }
    run.drain()
    while let index = run.requests.indices.last { run.finish(index) }
  }
}
