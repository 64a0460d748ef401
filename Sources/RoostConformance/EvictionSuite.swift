import RoostBlocks
import RoostPrimitives

/// What every eviction policy must do, whoever wrote it: the rules of `EvictionPolicy` as checks through a block table.
/// How well it chooses is for traces to tell (docs/guides/choosing-a-policy.md).
public enum EvictionSuite {
  /// A check of a policy.
  public typealias Check = ConformanceCheck<EvictionTrial>

  /// Every check.
  public static let checks: [Check] = [
    fills, capacity, ownBlocks, leasedBlocks, background, determinism, reset, model, fuzz,
  ]

  /// Asks one policy.
  public static func verdict(on check: Check, of subject: EvictionSubject) -> ConformanceVerdict {
    check.verdict { () throws(RoostError) in EvictionTrial(subject) }
  }

  private static let seeds: ClosedRange<UInt64> = 1...3

  private static let fills = Check("an empty cache lets everything in") { (trial) throws(RoostError) in
    let cache = try trial.cache(slots: 32)
    for chain in 0..<4 as Range<UInt64> {
      let outcomes = try cache.store(EvictionWorkload.chain(chain, 8))
      trial.findings.expect(outcomes.allSatisfy { $0 == .admitted }, "chain \(chain): \(outcomes)")
    }
  }

  private static let capacity = Check("neither blocks nor ghosts grow beyond their bounds") {
    (trial) throws(RoostError) in
    for seed in seeds {
      let cache = try trial.cache(slots: 32)
      let bytes = cache.table.bytesPerSlot
      var workload = EvictionWorkload(seed: seed)
      for step in 0..<600 {
        try cache.store(workload.next())
        let now = cache.table.statistics
        trial.findings.expect(now.resident <= 32, "seed \(seed), step \(step): \(now.resident) blocks in 32 slots")
        trial.findings.expect(now.ghosts <= 64, "seed \(seed), step \(step): \(now.ghosts) ghosts for 32 slots")
      }
      trial.findings.expect(cache.table.bytesPerSlot == bytes, "seed \(seed): the reserved memory has grown")
      report(cache, trial, "seed \(seed)")
    }
  }

  private static let ownBlocks = Check("no block goes for the request it belongs to") { (trial) throws(RoostError) in
    for seed in seeds {
      // Fewer slots than the longest request has blocks.
      let cache = try trial.cache(slots: 9)
      var workload = EvictionWorkload(seed: seed)
      for step in 0..<600 {
        let keys = workload.next()
        let before = cache.isReady(keys)
        try cache.store(keys)
        let after = cache.isReady(keys)
        trial.findings.expect(
          zip(before, after).allSatisfy { !$0 || $1 }, "seed \(seed), step \(step): had \(before), has \(after)")
      }
    }
  }

  private static let leasedBlocks = Check("no block goes while a lease holds it") { (trial) throws(RoostError) in
    let cache = try trial.cache(slots: 24)
    let held = EvictionWorkload.chain(2000, 6)
    try cache.store(held)
    let lease = try cache.load(held)
    let (_, writing) = try cache.begin(EvictionWorkload.chain(2001, 4))
    var workload = EvictionWorkload(seed: 7)
    for step in 0..<300 {
      try cache.store(workload.next())
      trial.findings.expect(cache.isReady(held).allSatisfy { $0 }, "step \(step): a held block is gone")
    }
    if let writing { trial.findings.expect(cache.table.commit(writing) == .published, "the store was lost") }
    if let lease { cache.table.end(lease) }
    let resident = cache.table.statistics.resident
    trial.findings.expect(
      cache.table.evict(24, cache.slotClass) == resident, "blocks that were held cannot be evicted afterwards")
    report(cache, trial, "")
  }

  private static let background = Check("eviction in the background takes as many as asked for") {
    (trial) throws(RoostError) in
    let cache = try trial.cache(slots: 32)
    var workload = EvictionWorkload(seed: 5)
    for _ in 0..<100 { try cache.store(workload.next()) }
    let resident = cache.table.statistics.resident
    trial.findings.expect(cache.table.evict(5, cache.slotClass) == 5, "not 5 of \(resident)")
    trial.findings.expect(cache.table.evict(100, cache.slotClass) == resident - 5, "not all of the rest")
    trial.findings.expect(cache.table.statistics.resident == 0, "something is left")
    report(cache, trial, "")
  }

  private static let determinism = Check("the same requests have the same outcomes") { (trial) throws(RoostError) in
    for seed in seeds {
      let (first, second) = (try trial.cache(slots: 32), try trial.cache(slots: 32))
      let (one, other) = (try outcomes(first, seed), try outcomes(second, seed))
      trial.findings.expect(one == other, "seed \(seed)")
    }
  }

  private static let reset = Check("a reset forgets everything") { (trial) throws(RoostError) in
    let cache = try trial.cache(slots: 32)
    let first = try outcomes(cache, 3)
    try cache.table.reset()
    let now = cache.table.statistics
    trial.findings.expect(now.resident == 0 && now.ghosts == 0, "\(now.resident) blocks, \(now.ghosts) ghosts are left")
    // Ages count, the time of day does not.
    trial.findings.expect(try outcomes(cache, 3) == first, "another decision after the reset")
  }

  private static let model = Check(
    "it agrees with its naive model", obstacle: { $0.subject.model == nil ? "there is no naive model of it" : nil }
  ) { (trial) throws(RoostError) in
    for seed in seeds {
      guard var model = trial.subject.model?(16) else { return }
      let cache = try trial.cache(slots: 16)
      var workload = EvictionWorkload(seed: seed)
      var seen = Set<Key>()
      for step in 0..<400 {
        let keys = workload.next()
        seen.formUnion(keys)
        try cache.store(keys)
        model.store(keys)
        let all = Array(seen)
        let resident = Set(zip(all, cache.isReady(all)).filter(\.1).map(\.0))
        guard resident == model.residents else {
          return trial.findings.add("seed \(seed), step \(step): \(resident.count) blocks differ from the model's")
        }
      }
    }
  }

  private static let fuzz = Check("it stays whole whatever happens") { (trial) throws(RoostError) in
    for seed in seeds {
      var fuzz = EvictionFuzz(seed: seed, cache: try trial.cache(slots: 20))
      for step in 0..<500 {
        try fuzz.step()
        let problems = fuzz.problems + fuzz.cache.table.checkInvariants()
        guard problems.isEmpty else { return trial.findings.add("seed \(seed), step \(step): \(problems)") }
      }
    }
  }

  private static func outcomes(_ cache: EvictionCache, _ seed: UInt64) throws(RoostError) -> [[StoreGrant.Outcome]] {
    var workload = EvictionWorkload(seed: seed)
    var result: [[StoreGrant.Outcome]] = []
    for _ in 0..<300 { result.append(try cache.store(workload.next())) }
    return result
  }

  private static func report(_ cache: EvictionCache, _ trial: EvictionTrial, _ place: String) {
    for problem in cache.table.checkInvariants() { trial.findings.add("\(place): \(problem)") }
  }
}
