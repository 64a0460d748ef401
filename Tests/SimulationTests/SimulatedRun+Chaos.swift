import DeviceMock
import RoostBlocks
import RoostEngine
import RoostPrimitives

extension SimulatedRun {
  /// One whole run under a seed: random settings, faults and requests.
  static func chaos(
    seed: UInt64, faultCountMax: Int = 6, ignoresFences: Bool = false, kinds: [MockFault.Kind] = MockFault.Kind.honest
  ) throws -> SimulatedRun {
    var random = SplitMix64(seed: seed)
    let settings = try StageSettings.random(using: &random)
    var faults: [MockFault] = []
    for _ in 0..<Int.random(in: 0...faultCountMax, using: &random) {
      let kind = kinds.randomElement(using: &random) ?? .failedCopy
      faults.append(MockFault(kind, step: Int.random(in: 0..<150, using: &random)))
    }
    let run = SimulatedRun(try Stage(settings, seed: random.next(), faults: faults), seed: seed)
    run.ignoresFences = ignoresFences
    run.isRepeatable = faultCountMax == 0
    for _ in 0..<Int.random(in: 40...120, using: &run.random) {
      try run.act()
      if !run.complaints.isEmpty { break }
    }
    try run.conclude()
    return run
  }

  /// Does something.
  private func act() throws {
    stage.clock.advance(UInt64.random(in: 1...1_000_000, using: &random))
    try replaceIfLost()
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<18:
      beginStore(someSeeds(), shardCount: Int.random(in: 1...3, using: &random))
    case 18..<40: beginLoad(someSeeds())
    case 40..<62:
      if let index = someRequest(where: { !$0.waiting.isEmpty }) {
        submit(index, countMax: Int.random(in: 1...6, using: &random), computed: Bool.random(using: &random))
        // An impatient engine: gives up while the copies it has just asked for have hardly begun.
        if Int.random(in: 0..<8, using: &random) == 0 { giveUp(index) }
      }
    case 62..<74: poll(countMax: Int.random(in: 1...3, using: &random))
    case 74..<78:
      guard let job = someJob() else { break }
      if Bool.random(using: &random) { wait(for: job) } else { glance(at: job) }
    case 78..<88:
      if let index = someRequest(where: \.isSettled) { finish(index, dropsFailed: Bool.random(using: &random)) }
    default: try interfere()
    }
  }

  /// Does something that is rarer.
  private func interfere() throws {
    switch Int.random(in: 0..<16, using: &random) {
    case 0..<5:
      if let index = someRequest(where: { !$0.isGivenUp }) { giveUp(index, byReclaim: Bool.random(using: &random)) }
    case 5..<7:
      if let job = someJob() { stage.plane.cancel(job) }
    case 7..<9: stage.device.resume()
    case 9..<13: _ = match(someSeeds())
    case 13: stage.engine.forget(stage.identity)
    case 14:
      // With leases alive it says so and changes nothing.
      try? stage.engine.reset(until: .after(seconds: 0))
    default:
      for _ in 0..<Int.random(in: 1...30, using: &random) where !stage.device.step() { break }
    }
  }

  /// A few consecutive blocks of one of three conversations.
  private func someSeeds() -> [UInt64] {
    let first = UInt64.random(in: 0..<3, using: &random) * 8
    return Array(first..<first + UInt64.random(in: 1...8, using: &random))
  }

  private func someRequest(where isWanted: (OpenRequest) -> Bool) -> Int? {
    requests.indices.filter { isWanted(requests[$0]) }.randomElement(using: &random)
  }

  private func someJob() -> JobID? {
    requests.flatMap { $0.jobs.keys }.sorted { $0.rawValue < $1.rawValue }.randomElement(using: &random)
  }
}
