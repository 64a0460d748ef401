import RoostPrimitives

/// Names a lease: a number that is used again, and a count of its uses. A stale one is recognised and ignored.
public struct LeaseID: RawRepresentable, Hashable, Sendable {
  /// Count of uses in the upper 32 bits, number in the lower.
  public let rawValue: UInt64
  /// Wraps a name that a table gave out, for one after a journey through another process.
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  init(number: Int, use: UInt32) { rawValue = UInt64(use) << 32 | UInt64(number) }
  var number: Int { Int(rawValue & 0xFFFF_FFFF) }
  var use: UInt32 { UInt32(rawValue >> 32) }
}

/// What a table tells about a lease that lives.
public struct LeaseReport: Sendable, Hashable {
  /// The lease.
  public var id: LeaseID
  /// What it is for.
  public var kind: LeaseKind
  /// How far it has come.
  public var phase: LeaseState.Phase
  /// The request it belongs to, who asked, and when.
  public var origin: RequestOrigin
  /// Nanoseconds since then.
  public var age: UInt64
  /// How many slots it holds.
  public var slotCount: Int
  /// The attachments with copies running, a bit each.
  public var copying: UInt64
}

/// The answer to a message about a lease.
public enum LeaseAnswer: UInt8, Sendable {
  /// Done; the lease lives on.
  case noted
  /// A store was published; the lease is over.
  case published
  /// The lease is over, its slots are let go.
  case ended
  /// No such lease, or no such shard or attachment of it; counted, nothing done.
  case stale
}

struct Lease {
  var use: UInt32
  var state: LeaseState
  var origin: RequestOrigin
  /// The blocks that it holds; a record outlives the leases on its slot.
  var records: UnsafeMutableBufferPointer<RecordNumber>
  /// The next unused lease while this one is over.
  var nextUnused: Int
}

/// The leases of a table: found by number, used again. Not thread-safe.
struct Leases: ~Copyable {
  private var leases: [Lease] = []
  private var firstUnused = -1
  /// Leases that live.
  private(set) var liveCount = 0

  deinit {
    for lease in leases where lease.state.phase != .ended { lease.records.deallocate() }
  }

  /// Whether another lease may begin.
  var hasRoom: Bool { liveCount < Limits.leaseCountMax }
  /// Numbers are below this.
  var numberCount: Int { leases.count }

  subscript(number: Int) -> Lease {
    get { leases[number] }
    _modify { yield &leases[number] }
  }

  func isLive(_ number: Int) -> Bool { leases[number].state.phase != .ended }

  /// The number of a lease that lives.
  func number(of id: LeaseID) -> Int? {
    guard id.number < leases.count, leases[id.number].use == id.use, isLive(id.number) else { return nil }
    return id.number
  }

  func id(of number: Int) -> LeaseID { LeaseID(number: number, use: leases[number].use) }

  /// Begins a lease on the slots of `records`, which are copied.
  mutating func begin(_ state: LeaseState, _ origin: RequestOrigin, _ records: [RecordNumber]) -> LeaseID {
    let held = UnsafeMutableBufferPointer<RecordNumber>.allocate(capacity: records.count)
    _ = held.initialize(from: records)
    liveCount += 1
    guard firstUnused >= 0 else {
      leases.append(Lease(use: 1, state: state, origin: origin, records: held, nextUnused: -1))
      return LeaseID(number: leases.count - 1, use: 1)
    }
    let number = firstUnused
    firstUnused = leases[number].nextUnused
    leases[number] = Lease(use: leases[number].use &+ 1, state: state, origin: origin, records: held, nextUnused: -1)
    return LeaseID(number: number, use: leases[number].use)
  }

  /// Takes back the number of a lease whose state has ended.
  mutating func finish(_ number: Int) {
    liveCount -= 1
    leases[number].records.deallocate()
    leases[number].records = UnsafeMutableBufferPointer(start: nil, count: 0)
    leases[number].nextUnused = firstUnused
    firstUnused = number
  }
}
