import RoostBlocks
import RoostPrimitives

/// What the engine's lock protects of its tier. A class, because the state that holds it must stay free of it where
/// there is no tier; nobody touches it without the lock.
final class TierBooks {
  var prefetches: PrefetchLedger
  var demotions: DemoteLedger
  var speed = TierSpeed()
  /// Without what is computed from elsewhere.
  var counts = TierStatistics()
  /// Bytes that were asked of the tier and have not arrived.
  var queuedByteCount = 0
  /// How many are making the tier forget something: nothing comes up or goes down then.
  var forgettingCount = 0
  let startedAt: UInt64

  init(_ setup: TierSetup, classCount: Int, blockCount: Int, at time: UInt64) throws(RoostError) {
    prefetches = PrefetchLedger(classCount: classCount)
    demotions = try DemoteLedger(setup.admission, blockCount: blockCount)
    startedAt = time
  }

  /// A page that admission lets through.
  func offer(_ key: Key) {
    counts.offered += 1
    if !demotions.offer(key) { counts.demotionsDropped += 1 }
  }

  /// Forgets what waits to be written.
  func forgetQueue() { counts.demotionsLate += demotions.removeAll() }

  /// A request told what blocks it has: the admission learns, and pages in the pool that became worth a write are
  /// offered.
  func noteRequest(_ keys: UnsafeBufferPointer<Key>, isHeld: (Int) -> Bool) {
    counts.requests += 1
    guard demotions.looksAtHeld else { return }
    for position in keys.indices where demotions.sighted(keys[position]) {
      if isHeld(position) { offer(keys[position]) }
    }
  }

  /// Pages were published by a store.
  func notePublished(_ pages: [SealLedger.Page]) {
    for page in pages {
      if demotions.isWorthAWrite(page.key) { offer(page.key) } else { counts.notWorthAWrite += 1 }
    }
  }
}
