import Foundation
import RoostBuiltins
import RoostConformance
import RoostPrimitives
import RoostSimulation
import RoostStorage
import Testing

@testable import TierDisk

/// TierSuite over every tier and I/O path.
@Suite struct TierConformance {
  /// A fresh directory for every tier opened; `reopen` goes back to the last one.
  private final class Place: Sendable {
    private let last = Guarded("")
    func fresh() -> String {
      last.withLock { path in
        path = Scratch.newPath()
        return path
      }
    }
    var path: String { last.withLock { $0 } }
    deinit { for path in [path] { try? FileManager.default.removeItem(atPath: path) } }
  }

  private static func disk(_ io: DiskIO, policy: String? = nil) -> TierSubject {
    let place = Place()
    @Sendable func make(_ path: String) throws(RoostError) -> any Tier {
      var configuration = Scratch.configuration()
      configuration.order = Builtins.diskOrders().first { $0.name == policy }
      return try DiskTier(DiskDirectory(path, io: io), configuration)
    }
    var subject = TierSubject("disk \(io.rawValue)" + (policy.map { " \($0)" } ?? "")) { () throws(RoostError) in
      if !place.path.isEmpty { try? FileManager.default.removeItem(atPath: place.path) }
      return try make(place.fresh())
    } reopen: { () throws(RoostError) in
      try make(place.path)
    }
    // Other policies than the tier's own may prefer what is there.
    subject.isChoosy = policy == "hazard" || policy == "arc"
    return subject
  }

  private static func wrapped(_ name: String, _ wrap: @escaping @Sendable (any Tier) -> any Tier) -> TierSubject {
    let inner = disk(.ring, policy: "fifo")
    return TierSubject(name) { () throws(RoostError) in
      wrap(try inner.open())
    } reopen: { () throws(RoostError) in
      guard let reopen = inner.reopen else { throw RoostError(.unsupported, "nothing is kept") }
      return wrap(try reopen())
    }
  }

  private static let memory = TierSubject("memory") { () throws(RoostError) in MemoryTier(capacity: .mebibytes(10)) }

  /// The disk tier on storage that breaks: anything may fail, and nothing may be wrong.
  private static let faulty: TierSubject = {
    let disks = Guarded<[SimulatedDisk]>([])
    @Sendable func make(_ disk: SimulatedDisk) throws(RoostError) -> any Tier {
      try Scratch.simulated(
        disk, capacity: 10 << 20, policy: Scratch.policy(ofSeed: UInt64(disks.withLock { $0.count })))
    }
    var subject = TierSubject("disk on faulty storage") { () throws(RoostError) in
      let seed = disks.withLock { UInt64($0.count) }
      var generator = SplitMix64(seed: seed)
      let faults = StorageFaults.any(using: &generator)
      let disk = SimulatedDisk(seed: seed, capacityBytes: 16 << 20, faults: faults, clock: SeededClock(seed: seed))
      disks.withLock { $0.append(disk) }
      return try make(disk)
    } reopen: { () throws(RoostError) in
      guard let disk = disks.withLock({ $0.last }) else { throw RoostError(.unsupported, "nothing was opened") }
      return try make(disk)
    }
    subject.tolerated = Set(PageOutcome.Kind.allCases)
    return subject
  }()

  /// Two directories, opened by their address.
  private static let striped: TierSubject = {
    let (one, two) = (Place(), Place())
    @Sendable func make() throws(RoostError) -> any Tier {
      try Builtins.tiers().open("disk://\(one.path),\(two.path)?capacity=12MiB,24MiB&segment=1MiB&depth=8&policy=arc")
    }
    return TierSubject("striped disk") { () throws(RoostError) in
      for place in [one, two] {
        if !place.path.isEmpty { try? FileManager.default.removeItem(atPath: place.path) }
        _ = place.fresh()
      }
      return try make()
    } reopen: { () throws(RoostError) in
      try make()
    }
  }()

  static let subjects: [TierSubject] = [
    memory, disk(.ring), disk(.threads, policy: "hazard"), disk(.cached, policy: "s3fifo"), faulty, striped,
    wrapped("disk on registered memory") { OnRegisteredMemory($0) },
    wrapped("deadlined disk") { Deadlined($0, seconds: { _ in 60 }) },
    wrapped("circuit-breaking disk") { CircuitBreaking($0) },
    wrapped("observed disk") { Observed($0) },
    wrapped("compressed disk") { Compressed($0) },
  ]

  @Test(arguments: subjects.map(\.name)) func everyTierDoesWhatTiersMust(name: String) throws {
    let subject = try #require(TierConformance.subjects.first { $0.name == name })
    for check in TierSuite.checks {
      switch TierSuite.verdict(on: check, of: subject) {
      case .failed(let complaints): for complaint in complaints { Issue.record("\(check.name): \(complaint)") }
      case .unsupported(let reason): print("\(name): \(check.name): not asked: \(reason)")
      case .passed, .expectedFailure: break
      }
    }
  }

  @Test func theSuiteFailsATierThatReturnsAWrongByte() {
    let subject = TierSubject("tampering") { () throws(RoostError) in
      TamperingTier(MemoryTier(capacity: .mebibytes(10)))
    }
    let check = TierSuite.checks[0]
    guard case .failed(let complaints) = TierSuite.verdict(on: check, of: subject) else {
      Issue.record("the suite did not notice")
      return
    }
    #expect(complaints.contains { $0.contains("A WRONG BYTE") })
  }
}

/// Changes a byte of every page after it has passed its seal: the canary that every checker must catch.
final class TamperingTier: Tier {
  private let inner: any Tier
  private let batches = Guarded<[TierTicket: TierBatch]>([:])
  let name = "tampering"

  init(_ inner: any Tier) { self.inner = inner }

  func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    let ticket = try inner.submit(batch)
    batches.withLock { $0[ticket] = batch }
    return ticket
  }

  func poll(_ max: Int, into events: inout [TierEvent]) {
    inner.poll(max, into: &events)
    for case .page(let ticket, let index, .done) in events {
      guard let batch = batches.withLock({ $0[ticket] }), batch.verb == .read else { continue }
      batch.pages[index].memory[0] ^= 1
    }
  }

  func wait(until deadline: Deadline) -> Bool { inner.wait(until: deadline) }
  var usage: TierUsage { inner.usage }
  func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport { try inner.recover(until: deadline) }
  func forget(_ identity: IdentityDigest) throws(RoostError) -> Int { try inner.forget(identity) }
  func drain(until deadline: Deadline) throws(RoostError) { try inner.drain(until: deadline) }
  func close(until deadline: Deadline) { inner.close(until: deadline) }
}
