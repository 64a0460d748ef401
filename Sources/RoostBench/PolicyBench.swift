import RoostBlocks
import RoostBuiltins
import RoostPrimitives

/// `roost bench policy`: what deciding costs, for each built-in policy, under agents that grow long prefixes in a pool
/// that is too small for them: the shape of traces of coding agents. `roost replay TRACE --dry-run --json` says the same
/// of a real trace (`policy_ns_per_reference`, `metadata_bytes_per_slot`).
///
/// How it is computed: the processor time of all calls of the table into the policy - decisions, learning, bookkeeping of
/// what was evicted and released - divided by the blocks of all requests.
enum PolicyBench {
  static let bench = Bench(
    name: "policy", summary: "time inside each eviction policy a block reference, and its metadata"
  ) { scale throws(RoostError) in
    var results: [BenchResult] = []
    let policies = Builtins.policies()
    for name in policies.names { results += try measure(try policies.factory(named: name), scale) }
    return results
  }

  /// The figures that the design asks for, of the default policy.
  private static let nanosecondLimit = 150.0
  private static let metadataLimit = 400.0
  private static let slotCount = 2307

  private static func measure(_ factory: PolicyFactory, _ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    let observer = PolicyObserver(clock: ThreadClock())
    var configuration = BlockTableConfiguration(slotCountMax: slotCount, policy: factory.observed(by: observer))
    configuration.reportsChanges = false
    let agents = try PolicyWorkload(configuration)
    // Until the pool is full and hazards are learned.
    try agents.run(requestCount: scale == .smoke ? 100 : 1000)
    var samples: [Double] = []
    for _ in 0..<(scale == .smoke ? 3 : 31) {
      let before = observer.cost
      try agents.run(requestCount: 100)
      let after = observer.cost
      samples.append(
        Double(after.nanoseconds - before.nanoseconds) / Double(after.referenceCount - before.referenceCount))
    }
    let isDefault = factory.name == HazardIndex.factory.name
    let bytes = agents.bytesPerSlot
    return [
      BenchResult(
        name: "\(factory.name)/\(slotCount)", unit: "ns", samples: samples,
        reference: isDefault ? "required \(Int(nanosecondLimit)) ns" : "",
        ratios: isDefault ? samples.map { $0 / nanosecondLimit } : nil),
      BenchResult(
        name: "\(factory.name) metadata/\(slotCount)", unit: "B", samples: [bytes],
        reference: isDefault ? "required \(Int(metadataLimit)) B a slot" : "",
        ratios: isDefault ? [bytes / metadataLimit] : nil),
    ]
  }
}
