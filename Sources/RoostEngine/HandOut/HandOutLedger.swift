import RoostBlocks
import RoostPool
import RoostPrimitives

/// The leases that are in the hands of workers: which shards are still to report, what they reported, and who has to
/// confirm a withdrawal. A pure state machine.
///
/// A lease is handed out before its job leaves for the workers by a way that the engine does not see (the metadata of a
/// serving engine). It is settled when nobody can be copying under it any more:
/// - every shard has reported, or its worker is gone - which shard a worker holds differs from group to group; or,
/// - after a withdrawal, every worker that was attached then has reported, confirmed or gone. A worker that attaches
///   later is told at once which leases it must not touch.
struct HandOutLedger {
  /// A page that a worker could not copy.
  struct FailedPage: Hashable, Sendable {
    /// Index in the job's blocks.
    var position: UInt32
    var slot: SlotNumber
    var generation: UInt32
  }

  /// What a worker says about its part of a lease.
  struct Report {
    enum Status: UInt8 {
      case done, cancelled, failed
    }
    var lease: LeaseID
    var shard: Int
    var status: Status
    var byteCount = 0
    var nanoseconds: UInt64 = 0
    var failedPages: [FailedPage] = []
  }

  private struct Open {
    var result: HandOutResult
    /// The group of its blocks: shards are counted within it.
    var group: Int
    /// Shards that have not reported, a bit each.
    var missingShards: UInt64
    /// Who may still be copying after a withdrawal; nil: it was not withdrawn.
    var owing: Set<AttachmentID>?
    /// Who has reported.
    var heard: Set<AttachmentID> = []
    var failedPages: Set<FailedPage> = []

    /// Nobody will write these shards any more. What is missing then was not written, whoever has been heard.
    mutating func lose(_ shards: UInt64) {
      guard missingShards & shards != 0 else { return }
      result.outcome = .lost
      missingShards &= ~shards
    }
  }

  /// A lease that is over for all workers.
  struct Settlement: Equatable {
    var result: HandOutResult
    /// The pages of a store that are to be dropped.
    var failedPages: [FailedPage]
  }

  private var open: [LeaseID: Open] = [:]
  /// The shards of each worker by group, a bit each.
  private var workers: [AttachmentID: [Int: UInt64]] = [:]
  /// By group: shards whose worker is gone and that nobody serves.
  private var goneShards: [Int: UInt64] = [:]
  /// The last leases that were settled without all reports, oldest first: newcomers must not touch them.
  private(set) var abandoned: [LeaseID] = []

  /// Whether a lease is in the hands of workers.
  func contains(_ lease: LeaseID) -> Bool { !open.isEmpty && open[lease] != nil }

  /// How many leases are.
  var count: Int { open.count }

  /// The leases of a request.
  func leases(of request: RequestID) -> [LeaseID] {
    open.filter { $0.value.result.request == request }.map(\.key)
  }

  // MARK: Workers

  /// A worker has attached.
  mutating func join(_ worker: AttachmentID) { workers[worker] = [:] }

  /// A worker says which shard of a group it holds.
  mutating func serve(_ worker: AttachmentID, group: Int, shard: Int) {
    guard 0..<Limits.groupCountMax ~= group, 0..<64 ~= shard, workers[worker] != nil else { return }
    workers[worker]?[group, default: 0] |= 1 << UInt64(shard)
    goneShards[group, default: 0] &= ~(1 << UInt64(shard))
  }

  /// A worker is gone, and its copies with it.
  mutating func leave(_ worker: AttachmentID) -> [Settlement] {
    var lost = workers.removeValue(forKey: worker) ?? [:]
    for (group, shards) in lost {
      lost[group] = workers.values.reduce(shards) { $0 & ~$1[group, default: 0] }
      goneShards[group, default: 0] |= lost[group, default: 0]
    }
    var settlements: [Settlement] = []
    for lease in open.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
      change(lease) { open in
        open.lose(lost[open.group, default: 0])
        open.owing?.remove(worker)
      }.map { settlements.append($0) }
    }
    return settlements
  }

  // MARK: Leases

  /// A lease on blocks of a group goes to the workers that hold its shards 0 ..< `shardCount`.
  mutating func begin(
    _ lease: LeaseID, _ verb: CopyVerb, _ request: RequestID, group: Int = 0, shardCount: Int
  ) -> Settlement? {
    let result = HandOutResult(lease: lease, request: request, verb: verb)
    open[lease] = Open(result: result, group: group, missingShards: .max >> UInt64(64 - shardCount))
    let gone = goneShards[group, default: 0]
    return change(lease) { $0.lose(gone) }
  }

  /// A worker has reported. What nobody asked for, or has been heard before, changes nothing.
  mutating func report(_ report: Report, from worker: AttachmentID) -> Settlement? {
    guard open[report.lease] != nil, workers[worker] != nil, 0..<64 ~= report.shard else { return nil }
    return change(report.lease) { open in
      let bit: UInt64 = 1 << UInt64(report.shard)
      open.owing?.remove(worker)
      guard open.heard.insert(worker).inserted, open.missingShards & bit != 0 else { return }
      open.missingShards &= ~bit
      open.result.byteCount = RemoteJobs.sum(open.result.byteCount, report.byteCount)
      open.result.seconds = max(open.result.seconds, Double(report.nanoseconds) / 1e9)
      open.failedPages.formUnion(report.failedPages)
      switch (report.status, open.result.outcome) {
      case (.failed, _): open.result.outcome = .lost
      case (.cancelled, .done): open.result.outcome = .cancelled
      default: break
      }
    }
  }

  /// A lease is taken back.
  ///
  /// - Returns: who is to be told, and the settlement if nobody is.
  mutating func withdraw(_ lease: LeaseID) -> (tell: [AttachmentID], settlement: Settlement?) {
    guard let known = open[lease], known.owing == nil else { return ([], nil) }
    let owing = Set(workers.keys).subtracting(known.heard)
    let settlement = change(lease) { open in
      open.owing = owing
      if open.result.outcome == .done { open.result.outcome = .cancelled }
    }
    return (Array(owing), settlement)
  }

  /// Changes a lease, and takes it out if it is settled then.
  private mutating func change(_ lease: LeaseID, _ body: (inout Open) -> Void) -> Settlement? {
    guard var entry = open[lease] else { return nil }
    body(&entry)
    let isSettled = entry.owing.map(\.isEmpty) ?? (entry.missingShards == 0)
    guard isSettled else {
      open[lease] = entry
      return nil
    }
    open[lease] = nil
    if entry.missingShards != 0 || entry.result.outcome != .done { abandon(lease) }
    entry.result.failedPositions = Set(entry.failedPages.map { Int($0.position) }).sorted()
    return Settlement(result: entry.result, failedPages: Array(entry.failedPages))
  }

  private mutating func abandon(_ lease: LeaseID) {
    abandoned.append(lease)
    if abandoned.count > Limits.abandonedLeasesMax {
      abandoned.removeFirst(abandoned.count - Limits.abandonedLeasesMax)
    }
  }
}

/// How a lease that was handed out has ended.
public struct HandOutResult: Sendable, Hashable {
  /// How it went as a whole.
  public enum Outcome: UInt8, Sendable {
    /// A store is published, a load is over; but for `failedPositions`.
    case done
    /// It was taken back, or a worker cancelled it. Nothing of a store was published.
    case cancelled
    /// A worker failed or is gone. Nothing of a store was published.
    case lost
  }

  /// Which lease.
  public var lease: LeaseID
  /// The request that it belonged to.
  public var request: RequestID
  /// Which way pages went.
  public var verb: CopyVerb
  /// How it went.
  public var outcome = Outcome.done
  /// Indices into the job's blocks that some worker did not copy, ascending.
  public var failedPositions: [Int] = []
  /// Bytes copied, of all shards together.
  public var byteCount = 0
  /// Seconds of copying of the slowest shard.
  public var seconds = 0.0

  init(lease: LeaseID, request: RequestID, verb: CopyVerb) {
    self.lease = lease
    self.request = request
    self.verb = verb
  }
}
