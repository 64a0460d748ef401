import RoostConsole
import RoostPrimitives

/// What a replay found, for scripts and for people.
public struct ReplayReport: Sendable {
  /// How it was set up.
  public let configuration: ReplayConfiguration
  /// What was replayed.
  public let source: String
  /// What was counted.
  public let statistics: ReplayStatistics

  /// Puts a report together.
  public init(_ configuration: ReplayConfiguration, source: String, _ statistics: ReplayStatistics) {
    self.configuration = configuration
    self.source = source
    self.statistics = statistics
  }

  /// One object; rates that were not measured are null.
  public var json: JSONValue {
    func optional(_ value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }
    let numbers = statistics
    let object: JSONValue = .object([
      "trace": .string(source), "policy": .string(configuration.policy),
      "output_length": .bool(configuration.tellsOutputLength),
      "store_after": .count(configuration.storeRequestCountMin),
      "host_blocks": .count(configuration.slotCount), "block_bytes": .count(configuration.page.byteCount),
      "model": .string(configuration.page.model.name), "device": .string(configuration.device),
      "dry_run": .bool(configuration.isDryRun), "verify": .bool(configuration.verifies && !configuration.isDryRun),
      "seed": .unsigned(configuration.seed), "requests": .count(numbers.requestCount),
      "block_references": .count(numbers.referenceCount), "unique_blocks": .count(numbers.uniqueCount),
      "prefix_hits": .count(numbers.prefixHitCount), "prefix_hit_ratio": .number(numbers.prefixHitRatio),
      "admitted_blocks": .count(numbers.admittedCount), "refused_blocks": .count(numbers.refusedCount),
      "evictions": .count(numbers.evictionCount), "load_shortfall": .count(numbers.loadShortfallCount),
      "bytes_loaded": .count(numbers.loadedByteCount), "bytes_stored": .count(numbers.storedByteCount),
      "load_gbps": optional(numbers.loadRate), "store_gbps": optional(numbers.storeRate),
      "memcpy_gbps": optional(numbers.memcpyRate), "lookup_ns_per_block": optional(numbers.lookupNanosecondsPerBlock),
      "policy_ns_per_reference": optional(numbers.policyNanosecondsPerReference),
      "metadata_bytes_per_slot": .number(numbers.metadataBytesPerSlot),
      "match_us": ReplayReport.json(of: numbers.match), "load_us": ReplayReport.json(of: numbers.load),
      "store_us": ReplayReport.json(of: numbers.store), "verified_blocks": .count(numbers.verifiedPageCount),
      "verify_failures": .count(numbers.verifyFailureCount), "faults": .count(numbers.faultCount),
      "failed_copies": .count(numbers.failedCopyCount), "interrupted": .bool(numbers.wasInterrupted),
      "seconds": .number(numbers.seconds),
    ])
    guard let tier = numbers.tier, let members = object.members else { return object }
    return .object(members + [JSONMember("disk", json(of: tier))])
  }

  private func json(of tier: ReplayStatistics.Tier) -> JSONValue {
    let end = tier.atEnd
    let references = max(1, statistics.referenceCount)
    return .object([
      "admission": .string(configuration.tierAdmission.rawValue), "pages_at_start": .count(tier.foundCount),
      "pages_at_end": .count(end.usage.pageCount), "capacity_bytes": .count(end.usage.capacityBytes),
      "occupied_bytes": .count(end.usage.occupiedBytes), "hits": .count(tier.hitCount),
      "hit_ratio": .number(Double(tier.hitCount) / Double(references)),
      "pool_hit_ratio": .number(Double(statistics.prefixHitCount - tier.hitCount) / Double(references)),
      "bytes_read": .count(end.promotedBytes), "read_gbps": tier.readRate.map { .number($0) } ?? .null,
      "bytes_written": .count(end.demotedBytes), "write_gbps": tier.writeRate.map { .number($0) } ?? .null,
      "pages_not_worth_a_write": .count(end.notWorthAWrite + end.demotionsRefused),
      "pages_dropped": .count(end.demotionsDropped),
      "pages_late": .count(end.demotionsLate), "pages_refused": .count(end.promotionsRefused),
      "pages_corrupt": .count(end.promotionsCorrupt), "evictions": .count(end.usage.counters.evictedCount),
      "capacity_writes_per_day": .number(end.capacityWritesPerDay),
    ])
  }

  private static func json(of histogram: LatencyHistogram) -> JSONValue {
    func microseconds(_ value: UInt64) -> JSONValue { .number(Double(value) / 1e3) }
    return .object([
      "p50": microseconds(histogram.percentile(0.5)), "p90": microseconds(histogram.percentile(0.9)),
      "p99": microseconds(histogram.percentile(0.99)), "max": microseconds(histogram.maxNanoseconds),
    ])
  }

  /// The summary for people: several lines, the last with a newline.
  public var text: String {
    var text = heading + "\n" + figures + "\n" + latencies + "\n"
    text += verdict + "\n"
    return text
  }

  private var heading: String {
    let numbers = statistics
    let page = configuration.page
    let pool = ByteCount(configuration.slotCount * page.byteCount)
    return """
      \(source): \(NumberText.grouped(numbers.requestCount)) requests, \
      \(NumberText.grouped(numbers.referenceCount)) block references, \(NumberText.grouped(numbers.uniqueCount)) distinct
      pool: \(NumberText.grouped(configuration.slotCount)) slots of \(ByteCount(page.byteCount)), \(pool)\
      \(configuration.isDryRun ? " (dry run: no memory, no copies)" : "")
      page: \(page.model.name), \(page.summary)

      """
  }

  private var figures: String {
    let numbers = statistics
    var table = Table([("", .left), ("", .right), ("", .right), ("", .left)])
    table.add([
      "prefix hits", NumberText.percent(numbers.prefixHitRatio), NumberText.grouped(numbers.prefixHitCount) + " blocks",
      "policy \(configuration.policyLabel), \(NumberText.grouped(numbers.evictionCount)) evictions",
    ])
    func row(_ name: String, _ bytes: Int, _ rate: Double?) {
      guard let rate else { return }
      let ratio = numbers.memcpyRate.map { NumberText.fixed(rate / $0, 2) + "x memcpy" } ?? ""
      table.add([name, ByteCount(bytes).description, NumberText.fixed(rate, 1) + " GB/s", ratio])
    }
    row("loaded", numbers.loadedByteCount, numbers.loadRate)
    row("stored", numbers.storedByteCount, numbers.storeRate)
    if let tier = numbers.tier {
      row("from disk", tier.atEnd.promotedBytes, tier.readRate)
      row("to disk", tier.atEnd.demotedBytes, tier.writeRate)
    }
    if let memcpy = numbers.memcpyRate {
      let samples = "median of \(numbers.memcpySamples.count) samples of 64 MiB, one thread"
      table.add(["memcpy", "", NumberText.fixed(memcpy, 1) + " GB/s", samples])
    }
    if let lookup = numbers.lookupNanosecondsPerBlock {
      table.add(["lookup", "", NumberText.fixed(lookup, 1) + " ns", "a block"])
    }
    if let policy = numbers.policyNanosecondsPerReference {
      table.add(["policy", "", NumberText.fixed(policy, 1) + " ns", "a block reference"])
    }
    return table.text
  }

  private var latencies: String {
    var table = Table([
      ("a request", .left), ("p50", .right), ("p90", .right), ("p99", .right), ("max", .right), ("count", .right),
    ])
    let rows = [("match", statistics.match), ("load", statistics.load), ("store", statistics.store)]
    for (name, histogram) in rows where histogram.count > 0 {
      let values = [0.5, 0.9, 0.99].map { histogram.percentile($0) } + [histogram.maxNanoseconds]
      let cells = values.map { NumberText.duration(seconds: Double($0) / 1e9) }
      table.add([name] + cells + [NumberText.grouped(histogram.count)])
    }
    return table.text
  }

  private var verdict: String {
    let numbers = statistics
    var lines: [String] = []
    if let tier = numbers.tier {
      let references = Double(max(1, numbers.referenceCount))
      lines.append(
        "hits: \(NumberText.percent(Double(numbers.prefixHitCount - tier.hitCount) / references)) in the pool, "
          + "\(NumberText.percent(Double(tier.hitCount) / references)) from disk; the disk had "
          + "\(NumberText.grouped(tier.foundCount)) pages before, \(NumberText.grouped(tier.atEnd.usage.pageCount)) after"
      )
    }
    if numbers.faultCount > 0 { lines.append("\(numbers.faultCount) bytes were flipped on purpose") }
    if numbers.verifyFailureCount > 0 {
      lines.append(
        "\(NumberText.grouped(numbers.verifyFailureCount)) of \(NumberText.grouped(numbers.verifiedPageCount)) loaded pages "
          + "DID NOT VERIFY")
    } else if numbers.verifiedPageCount > 0 {
      lines.append("\(NumberText.grouped(numbers.verifiedPageCount)) loaded pages verified, every byte right")
    }
    if numbers.failedCopyCount > 0 { lines.append("\(numbers.failedCopyCount) copies FAILED") }
    if numbers.loadShortfallCount > 0 {
      lines.append("\(numbers.loadShortfallCount) blocks matched but could NOT BE LOADED")
    }
    if numbers.wasInterrupted { lines.append("interrupted: the figures are those of the part that was replayed") }
    lines.append("\(NumberText.duration(seconds: numbers.seconds)), seed \(configuration.seed)")
    return lines.joined(separator: "\n")
  }
}
