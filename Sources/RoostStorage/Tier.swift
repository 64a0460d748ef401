import RoostPrimitives

/// A place where pages live below the pool.
///
/// How it is used:
///
/// 1. `recover`, until it has succeeded once. Until then nothing is there and writes are throttled.
/// 2. `submit` batches; every call returns at once. `poll` moves the work on and says what happened: a tier need not
///    have threads of its own, so whoever submits must poll. `wait` sleeps until polling is worth it.
/// 3. `drain`, to have everything written that was promised; `close`, once, at the end.
///
/// What every tier promises:
///
/// - `.done` for a read means that these bytes were written under this name, proven by the seal. Whatever else the tier
///   finds is another outcome. Never a wrong byte.
/// - A page is there for readers only after its write was done. A write of a page that is there already is done without
///   moving a byte: a name stands for one content.
/// - Every page gets one outcome and every batch one `.released`, within the tier's own deadlines, whatever breaks.
/// - Nothing that a drive, a server or a peer does crashes the process.
///
/// Who checks what: the tier checks names and lengths of batches (`failed`, `invalidInput`); the caller vouches for
/// pointers. Thread-safe: any thread may call anything at any time; two pollers share the events.
public protocol Tier: AnyObject, Sendable {
  /// What logs and reports call it: `disk`, `memory`.
  var name: String { get }

  /// Tells of memory that pages are moved from and to time and again, as the pool's are, so that the tier may register it
  /// with what moves them. It stays mapped until `close` has returned. A hint: pages elsewhere are moved as well. May take
  /// milliseconds.
  func register(_ memory: UnsafeMutableRawBufferPointer)

  /// Takes a batch. Returns at once.
  ///
  /// - Throws: `invalidInput` for a batch that is too long, `lost` after `close`. The memory was not touched then.
  func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket

  /// Moves the work on and appends up to `max` events. Never waits; may take as long as the checks of the pages that
  /// arrived, about 50 us a MiB.
  func poll(_ max: Int, into events: inout [TierEvent])

  /// Waits until `poll` may have something to do. False if the deadline passed first.
  func wait(until deadline: Deadline) -> Bool

  /// Whether the tier has each of these pages, as far as it knows without asking its medium: a hint that costs no I/O
  /// and no batch. Puts an answer for every name into `found`.
  func peek(_ names: [PageName], into found: inout [Bool])

  /// What it holds and what it has done.
  var usage: TierUsage { get }

  /// Finds what an earlier process left. Blocks; may take seconds on a large drive.
  func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport

  /// Forgets every page of an identity: from now on none of them is found. Reads under way may still end as done; writes
  /// under way end as throttled. Where pages are kept outside this process they are overwritten behind: after `drain`
  /// not even a restart brings one back. Waits for no I/O; takes time in proportion to the pages that there are.
  ///
  /// - Returns: how many pages went.
  /// - Throws: `lost` after `close`; `invalidInput` before `recover`, where nobody knows yet what is there.
  func forget(_ identity: IdentityDigest) throws(RoostError) -> Int

  /// Waits until what was submitted has ended and is as durable as the tier can make it. Its events stay to be polled.
  ///
  /// - Throws: `timedOut`, or why durability cannot be promised.
  func drain(until deadline: Deadline) throws(RoostError)

  /// Ends what is under way and lets go of everything. Memory is free when it returns; unpolled events are lost.
  /// A second call does nothing.
  func close(until deadline: Deadline)
}

extension Tier {
  /// Gains nothing by it.
  public func register(_ memory: UnsafeMutableRawBufferPointer) {}

  /// Knows nothing without asking: a tier that stays with this is asked by `contains`, and never by `match`.
  public func peek(_ names: [PageName], into found: inout [Bool]) { found = names.map { _ in false } }
}

/// What `recover` found.
public struct RecoveryReport: Hashable, Sendable {
  /// Pages that can be read.
  public var pageCount = 0
  /// Their bytes.
  public var byteCount = 0
  /// Different identities among them.
  public var identityCount = 0
  /// Places where a page should be, or could have been, and is not: torn headers, pages at the wrong place. Any crash
  /// may leave some.
  public var damagedCount = 0
  /// Pages set aside earlier because they did not match their seal.
  public var quarantinedCount = 0
  /// Whether a snapshot of a clean shutdown was used instead of looking at every page.
  public var usedSnapshot = false
  /// How long it took.
  public var seconds = 0.0

  /// Nothing found.
  public init() {}
}
