import RoostPrimitives

/// How likely each fault of a simulated disk is. Chances are per operation, in thousandths.
public struct StorageFaults: Hashable, Sendable {
  /// An acknowledged write that never happens.
  public var lostWrite = 0
  /// An acknowledged write that lands elsewhere in its file.
  public var misdirectedWrite = 0
  /// An acknowledged write that can be read only some time later.
  public var lateWrite = 0
  /// A write that fails with EIO after some of its sectors.
  public var failedWrite = 0
  /// A read after which one of its sectors gives EIO until it is written again.
  public var latentReadError = 0
  /// A read before which one bit of what it reads turns over, for good.
  public var rottenRead = 0
  /// A read or write that moves fewer bytes than asked for.
  public var shortTransfer = 0
  /// An operation that takes a hundred times as long as others.
  public var stall = 0
  /// A write that begins a time in which every write fails with ENOSPC.
  public var full = 0
  /// A sync that says it worked and does nothing. No tier can survive it; for canaries.
  public var emptySync = 0

  /// A disk that does what it says, and forgets what was not synced when the power goes.
  public init() {}

  /// Faults that lose no synced page: interruptions that are reported, or pass.
  public static func harmless(using generator: inout SplitMix64) -> StorageFaults {
    var faults = StorageFaults()
    faults.shortTransfer = pick(100, &generator)
    faults.stall = pick(50, &generator)
    return faults
  }

  /// Any of all faults but `emptySync`, some of them often.
  public static func any(using generator: inout SplitMix64) -> StorageFaults {
    var faults = harmless(using: &generator)
    faults.lostWrite = pick(100, &generator)
    faults.misdirectedWrite = pick(100, &generator)
    faults.lateWrite = pick(100, &generator)
    faults.failedWrite = pick(100, &generator)
    faults.latentReadError = pick(100, &generator)
    faults.rottenRead = pick(100, &generator)
    faults.full = pick(20, &generator)
    return faults
  }

  /// Nothing in two cases of three.
  private static func pick(_ most: Int, _ generator: inout SplitMix64) -> Int {
    Int.random(in: 0..<3, using: &generator) == 0 ? Int.random(in: 1...most, using: &generator) : 0
  }
}
