import RoostBlocks
import RoostBuiltins
import RoostConsole
import RoostEngine
import RoostPrimitives
import RoostStorage

/// Replays requests through an engine: looks up, loads and verifies what is there, computes and stores what is not.
///
/// The life of a replay: `init` opens the engine, its memory and the device; `run` replays one stream of requests to its
/// end, or until Ctrl-C, and closes the engine. One thread drives; the device copies on its own.
public final class Replay {
  /// The policies there are, by name.
  public static var policyNames: [String] { Builtins.policies().names }

  let configuration: ReplayConfiguration
  let engine: Engine
  let tier: (any Tier)?
  let mover: PageMover?
  let buffers = RequestBuffers()
  var statistics = ReplayStatistics()
  var faults = FaultPlan(count: 0, requestCount: 0, seed: 0)
  let clock = MonotonicClock()
  private let traceClock: TraceClock
  private let observer = PolicyObserver(clock: ThreadClock())
  private let keys: ReplayKeys
  private let ids = IDSet()

  /// Opens the engine: with a pool of host memory, or without memory for a dry run.
  ///
  /// - Throws: `invalidInput` for a set-up that cannot work, the pool that does not fit included.
  public init(_ configuration: ReplayConfiguration) throws(RoostError) {
    try configuration.check()
    let traceClock = TraceClock()
    let window = configuration.isDryRun ? nil : try PageMover.window(configuration)
    tier = if let address = configuration.tier { try Builtins.tiers().open(address) } else { nil }
    engine = try Replay.openEngine(configuration, traceClock, observer, tier)
    statistics.tier = tier == nil ? nil : ReplayStatistics.Tier(atStart: engine.statistics.tier)
    mover =
      if let (window, device) = window {
        try PageMover(window, on: device, engine, seed: configuration.seed)
      } else { nil }
    keys = ReplayKeys(identity: try engine.intern(ReplayKeys.identity(of: configuration.page.model)))
    self.configuration = configuration
    self.traceClock = traceClock
  }

  /// Replays the whole stream, showing progress on standard error.
  ///
  /// - Throws: what the stream throws about its input, or what the engine or the device cannot go on after. Failed copies
  ///   and bytes are counted instead.
  public func run(_ stream: any RequestStream) throws(RoostError) -> ReplayReport {
    let total = stream.requestCount.map { min($0, configuration.requestLimit ?? .max) } ?? configuration.requestLimit
    faults = FaultPlan(count: configuration.faultCount, requestCount: total, seed: configuration.seed)
    let progress = ProgressReport("replay", unit: "requests", total: total)
    defer { progress.finish() }
    let memcpyProbe = configuration.isDryRun ? nil : MemcpyProbe()
    let started = clock.nanoseconds
    var request = TraceRequest()
    while statistics.requestCount < configuration.requestLimit ?? .max {
      memcpyProbe?.sampleIfDue()
      guard try !isStopped(), try stream.next(into: &request) else { break }
      try replay(request)
      progress.update(statistics.requestCount, detail: "hits \(NumberText.percent(statistics.prefixHitRatio))")
    }
    statistics.seconds = Double(clock.nanoseconds - started) / 1e9
    statistics.memcpySamples = memcpyProbe?.samples ?? []
    statistics.uniqueCount = ids.count
    statistics.evictionCount = engine.statistics.blocks.evicted
    statistics.policyNanosecondsPerReference = observer.cost.nanosecondsPerReference
    statistics.metadataBytesPerSlot = engine.metadataBytesPerSlot
    finishTier()
    try close()
    return ReplayReport(configuration, source: stream.name, statistics)
  }

  private func isStopped() throws(RoostError) -> Bool {
    if StopRequest.isMade { statistics.wasInterrupted = true }
    return StopRequest.isMade
  }

  private func close() throws(RoostError) {
    let leaks = engine.close(until: .after(seconds: Limits.closeSeconds))
    guard leaks.isEmpty else {
      throw RoostError(.busy, "\(leaks.count) leases were never given back: \(leaks[0])")
    }
  }

  /// One request: match, load, store.
  private func replay(_ request: TraceRequest) throws(RoostError) {
    traceClock.advance(toMilliseconds: request.milliseconds)
    statistics.requestCount += 1
    statistics.referenceCount += request.ids.count
    guard !request.ids.isEmpty else { return }
    buffers.reserve(request.ids.count)
    for (index, id) in request.ids.enumerated() {
      ids.insert(id)
      buffers.keys[index] = keys.key(of: id)
    }
    let started = clock.nanoseconds
    let matched = engine.match(
      UnsafeBufferPointer(rebasing: buffers.keys[..<request.ids.count]), into: buffers.states)
    let lookup = clock.nanoseconds - started
    let hits = try bringUp(request, matched)
    statistics.match.add(nanoseconds: lookup)
    statistics.lookupSeconds += Double(lookup) / 1e9
    statistics.prefixHitCount += hits
    if hits > 0 { try load(request, hits) }
    let (admitted, refused) = (statistics.admittedCount, statistics.refusedCount)
    try store(request)
    letTierWork()
    var interval = TimeSeries.Interval()
    interval.requestCount = 1
    interval.referenceCount = request.ids.count
    interval.hitCount = hits
    interval.admittedCount = statistics.admittedCount - admitted
    interval.refusedCount = statistics.refusedCount - refused
    interval.occupiedCount = engine.statistics.blocks.allocated
    interval.milliseconds = request.milliseconds
    statistics.series.add(interval)
  }
}
