import Foundation
import RoostBuiltins
import RoostConformance
import RoostPrimitives
import RoostSimulation
import RoostStorage
import Testing

@testable import TierDisk

/// What the tests of the tiers share.
enum Scratch {
  static var patience: Deadline { .after(seconds: 60) }

  /// A directory that does not exist yet, removed afterwards.
  static func withDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    let path = newPath()
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }

  /// The policy that the tiers of a seed have: each seed one of them, nil being the tier's own.
  static func policy(ofSeed seed: UInt64) -> EvictionOrderKind? {
    let kinds = [nil] + Builtins.diskOrders().map(Optional.some)
    return kinds[Int(seed % UInt64(kinds.count))]
  }

  static func newPath() -> String {
    NSTemporaryDirectory() + "/roost-tier-\(getpid())-\(UInt64.random(in: 0 ... .max))"
  }

  /// A small tier: segments of 1 MiB.
  static func configuration(_ capacity: ByteCount = .mebibytes(12)) -> DiskTierConfiguration {
    var configuration = DiskTierConfiguration(capacity: capacity)
    configuration.segment = .mebibytes(1)
    configuration.depth = 8
    configuration.scanThreadCount = 2
    return configuration
  }

  static func open(_ path: String, _ configuration: DiskTierConfiguration = configuration()) throws -> DiskTier {
    let tier = try DiskTier(DiskDirectory(path), configuration)
    _ = try tier.recover(until: patience)
    return tier
  }

  /// A tier on a simulated disk: 1 MiB in segments of 128 KiB.
  static func simulated(
    _ disk: SimulatedDisk, capacity: Int = 1 << 20, sync: SyncPolicy = .never, seed: UInt64 = 1,
    policy: EvictionOrderKind? = nil
  ) throws(RoostError) -> DiskTier {
    var configuration = DiskTierConfiguration(capacity: ByteCount(capacity))
    configuration.segment = .kibibytes(128)
    configuration.depth = 4
    configuration.scanThreadCount = 1
    configuration.sync = sync
    configuration.clock = disk.clock
    configuration.wallSeconds = { 0 }
    configuration.seed = seed
    configuration.order = policy
    return try DiskTier(SimulatedDirectory(disk), configuration)
  }
}

extension Tier {
  /// Does one batch to its end.
  func run(_ verb: TierVerb, _ pages: [TierPage]) throws -> [PageOutcome] {
    let ticket = try submit(TierBatch(verb, pages))
    var outcomes = [PageOutcome?](repeating: nil, count: pages.count)
    let deadline = Scratch.patience
    while !deadline.hasPassed() {
      var events: [TierEvent] = []
      poll(100, into: &events)
      for event in events {
        switch event {
        case .page(ticket, let index, let outcome): outcomes[index] = outcome
        case .released(ticket): return try outcomes.map { try #require($0) }
        default: break
        }
      }
      if events.isEmpty { _ = wait(until: .after(seconds: 0.1)) }
    }
    throw RoostError(.timedOut, "a batch does not end")
  }

  func write(_ sheets: [TierSheet]) throws -> [PageOutcome.Kind] {
    try run(.write, sheets.map(\.forWriting)).map(\.kind)
  }

  /// Reads pages into fresh memory; what is done must be exact.
  func read(_ sheets: [TierSheet]) throws -> [PageOutcome.Kind] {
    let copies = sheets.map { $0.blank() }
    let outcomes = try run(.read, copies.map(\.forReading))
    for (index, outcome) in outcomes.enumerated() where outcome.kind == .done {
      #expect(copies[index].equals(sheets[index]), "a wrong byte")
      #expect(outcome.facts == sheets[index].facts)
    }
    return outcomes.map(\.kind)
  }
}
