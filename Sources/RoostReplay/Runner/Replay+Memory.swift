import Glibc
import RoostBlocks
import RoostBuiltins
import RoostConsole
import RoostEngine
import RoostPool
import RoostPrimitives
import RoostStorage

/// What a replay needs of the machine.
extension Replay {
  static func openEngine(
    _ configuration: ReplayConfiguration, _ clock: TraceClock, _ observer: PolicyObserver, _ tier: (any Tier)?
  ) throws(RoostError) -> Engine {
    let page = configuration.page
    let group = EngineConfiguration.Group(
      pageByteCount: page.byteCount, tokensPerBlock: page.kernelBlockCount * page.kernelTokenCount)
    let memory: EngineConfiguration.Memory =
      configuration.isDryRun
      ? .none(slotCount: configuration.slotCount)
      : .pool(poolConfiguration(configuration))
    let policy = try Builtins.policies().factory(named: configuration.policy).observed(by: observer)
    var wanted = EngineConfiguration(groups: [group], memory: memory, policy: policy)
    wanted.storeRequestCountMin = configuration.storeRequestCountMin
    wanted.slotCountMax = configuration.slotCount
    wanted.clock = clock
    wanted.tier = tier.map { tier in
      var setup = TierSetup(tier)
      setup.admission = configuration.tierAdmission
      // The replay gives it the time that it needs, as the trace's pauses would.
      setup.driving = .caller
      return setup
    }
    // The pool would say in a line of its own why it is smaller than asked for; here that is part of the error.
    let level = Log.level
    Log.level = min(level, .error)
    defer { Log.level = level }
    let engine: Engine
    do throws(RoostError) {
      engine = try Engine.open(wanted)
    } catch {
      guard error.code == .outOfResources else { throw error }
      throw RoostError(.invalidInput, "the pool does not fit; choose a smaller --host-memory", cause: error)
    }
    if let pool = engine.pool { try waitForMemory(pool, configuration) }
    engine.waitUntilCommitted(until: .after(seconds: Limits.commitSeconds))
    let usable = engine.slotCount()
    guard usable >= configuration.slotCount else {
      let reason = engine.pool?.capacity.shortage.map { ": \($0)" } ?? ""
      throw RoostError(
        .invalidInput,
        "the system gives memory for only \(usable) of \(configuration.slotCount) blocks of \(ByteCount(page.byteCount)); "
          + "choose a smaller --host-memory or --host-blocks\(reason)")
    }
    return engine
  }

  /// Shows how the pool grows to its size.
  private static func waitForMemory(_ pool: Pool, _ configuration: ReplayConfiguration) throws(RoostError) {
    let deadline = Deadline.after(seconds: Limits.commitSeconds)
    let progress = ProgressReport("pool", unit: "MiB", total: pool.capacity.requestedBytes >> 20)
    defer { progress.finish() }
    while !deadline.hasPassed() {
      let capacity = pool.wait(forBytes: .max, until: .after(seconds: Limits.commitPollSeconds))
      if capacity.isSettled { return }
      if StopRequest.isMade { throw RoostError(.cancelled, "interrupted before the first request") }
      progress.update(capacity.committedBytes >> 20)
    }
  }

  private static func poolConfiguration(_ configuration: ReplayConfiguration) -> PoolConfiguration {
    let page = configuration.page
    var pool = PoolConfiguration(
      name: "replay-\(getpid())", capacity: ByteCount(configuration.slotCount * configuration.slotStrideByteCount),
      slotByteCounts: [page.byteCount])
    pool.acceptsAttachments = false
    return pool
  }
}

extension ReplayConfiguration {
  /// Checks what can be checked before anything is opened.
  ///
  /// - Throws: `invalidInput` or `notFound` with what to do.
  public func check() throws(RoostError) {
    _ = try Builtins.policies().factory(named: policy)
    if faultCount > 0, isDryRun || !verifies {
      let reason = isDryRun ? "a dry run moves no bytes" : "nothing looks without verification"
      throw RoostError(.invalidInput, "--fault needs --verify and no --dry-run: \(reason)")
    }
    if tier != nil, isDryRun {
      throw RoostError(.invalidInput, "--disk needs bytes, and a dry run moves none")
    }
    let perSlot = Limits.metadataByteCountPerSlot + (isDryRun ? 0 : slotStrideByteCount)
    let (needed, overflow) = slotCount.multipliedReportingOverflow(by: perSlot)
    let (_, poolOverflow) = slotCount.multipliedReportingOverflow(by: slotStrideByteCount)
    let available = max(0, ReplayConfiguration.availableMemoryByteCount - Limits.memoryReserveByteCount)
    guard overflow || poolOverflow || needed > available || slotCount > Limits.slotCountMax else { return }
    let most = min(available / perSlot, Limits.slotCountMax)
    let size = overflow || poolOverflow ? "more than 8 EiB" : ByteCount(needed).description
    let pool = isDryRun ? "" : " or --host-memory \(most * page.byteCount / (1 << 20))MiB"
    let advice = most > 0 ? "choose at most --host-blocks \(most)\(pool)" : "choose smaller --block-bytes"
    throw RoostError(
      .invalidInput,
      "a pool of \(slotCount) blocks needs \(size), but this machine has \(ByteCount(available)) to give; \(advice)")
  }

  /// Bytes from one slot of the pool to the next: large ones begin on a page of memory, small ones on a disk's sector.
  var slotStrideByteCount: Int {
    let alignment = page.byteCount < Limits.pageAlignedByteCountMin ? 512 : 4096
    return (page.byteCount + alignment - 1) / alignment * alignment
  }

  /// What the kernel thinks new programs can have, or the installed memory if it does not say.
  private static var availableMemoryByteCount: Int {
    let installed = sysconf(CInt(_SC_PHYS_PAGES)) * sysconf(CInt(_SC_PAGESIZE))
    guard let file = fopen("/proc/meminfo", "r") else { return installed }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, CInt(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix("MemAvailable:") else { continue }
      return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 << 10 } ?? installed
    }
    return installed
  }
}
