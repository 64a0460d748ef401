import RoostPrimitives

/// What observed policies cost; shared by those of all slot classes of a table. Thread-safe.
public final class PolicyObserver: Sendable {
  /// A total.
  public struct Cost: Sendable, Hashable {
    /// Blocks of the requests that the policies heard of.
    public var referenceCount = 0
    /// Time inside the policies, learning included.
    public var nanoseconds: UInt64 = 0

    /// Nothing yet.
    public init() {}

    /// Nanoseconds a block reference, nil without references.
    public var nanosecondsPerReference: Double? {
      referenceCount > 0 ? Double(nanoseconds) / Double(referenceCount) : nil
    }
  }

  private let total = Locked(Cost())
  fileprivate let clock: any Clock
  /// What two readings of the clock are apart if nothing is between them: is not counted.
  private let readingNanoseconds: UInt64

  /// Starts with nothing; time comes from `clock`.
  public init(clock: any Clock) {
    self.clock = clock
    var least = UInt64.max
    for _ in 0..<100 {
      let start = clock.nanoseconds
      least = min(least, clock.nanoseconds &- start)
    }
    readingNanoseconds = least
  }

  /// All so far.
  public var cost: Cost { total.withLock { $0 } }

  fileprivate func add(since start: UInt64, references: Int) {
    let taken = clock.nanoseconds &- start
    total.withLock { total in
      total.nanoseconds += taken > readingNanoseconds ? taken - readingNanoseconds : 0
      total.referenceCount += references
    }
  }
}

extension PolicyFactory {
  /// The same kind of policy, with the time spent in it added up; the clock is read twice a call.
  public func observed(by observer: PolicyObserver) -> PolicyFactory {
    let make = self.make
    return PolicyFactory(name: name, recordsPerSlot: recordsPerSlot, recordsPerRequest: recordsPerRequest) {
      recordCount throws(RoostError) in ObservedPolicy(try make(recordCount), observer)
    }
  }
}

/// A policy whose calls are timed.
final class ObservedPolicy: EvictionPolicy {
  private let policy: any EvictionPolicy
  private let observer: PolicyObserver

  init(_ policy: any EvictionPolicy, _ observer: PolicyObserver) {
    self.policy = policy
    self.observer = observer
  }

  var keepsGhosts: Bool { policy.keepsGhosts }
  var reservedBytes: Int { policy.reservedBytes }

  func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    let start = observer.clock.nanoseconds
    defer { observer.add(since: start, references: event.blocks.count) }
    return policy.decide(event, victims: &victims)
  }

  func makeRecords(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    observe { policy.makeRecords(event, dropped: &dropped) }
  }

  func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    observe { policy.settle(event, dropped: &dropped) }
  }

  func released(_ records: [RecordNumber]) { observe { policy.released(records) } }

  func removed(_ records: [RecordNumber]) { observe { policy.removed(records) } }

  func adopted(_ records: [RecordNumber]) { observe { policy.adopted(records) } }

  func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    observe { policy.evict(count, states, victims: &victims) }
  }

  func reset() { policy.reset() }

  func checkInvariants(_ states: BlockStates) -> [String] { policy.checkInvariants(states) }

  private func observe(_ call: () -> Void) {
    let start = observer.clock.nanoseconds
    call()
    observer.add(since: start, references: 0)
  }
}
