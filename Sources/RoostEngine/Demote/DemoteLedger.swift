import RoostBlocks
import RoostPrimitives

/// Which published pages are to be written to the tier, and which are worth it. A pure state machine.
///
/// The queue holds keys and no slots: a page that is evicted before its turn is not written. It is bounded; what does
/// not fit is dropped, so that writes never hold up a request.
struct DemoteLedger {
  private let admission: TierSetup.Admission
  /// How often each key was asked for lately, far beyond what pool and tier hold.
  private var sightings: Sightings
  private var queue: [Key] = []
  private var taken = 0

  /// In a class, because what cannot be copied cannot be an optional's member here.
  private final class Sightings {
    var filter: StoreFilter
    init(slotCount: Int) throws(RoostError) { filter = try StoreFilter(requestCountMin: 2, slotCount: slotCount) }
  }

  /// Remembers the sightings of four times `blockCount` blocks, 16 bytes each four.
  init(_ admission: TierSetup.Admission, blockCount: Int) throws(RoostError) {
    self.admission = admission
    sightings = try Sightings(slotCount: max(1, min(blockCount, Limits.sightingsMax)))
  }

  /// Pages that wait.
  var count: Int { queue.count - taken }

  /// A request asked for a key.
  ///
  /// - Returns: whether the page is to be offered now if it lies in the pool already.
  mutating func sighted(_ key: Key) -> Bool {
    guard admission == .again else { return false }
    return sightings.filter.note(key) == 2
  }

  /// Whether a page that was just published is worth a write.
  func isWorthAWrite(_ key: Key) -> Bool {
    switch admission {
    case .all: true
    case .again: sightings.filter.count(of: key) >= 2
    case .none: false
    }
  }

  /// Whether pages that are in the pool already may become worth a write.
  var looksAtHeld: Bool { admission == .again }

  /// Puts a page at the end. False: too many wait.
  mutating func offer(_ key: Key) -> Bool {
    guard count < Limits.demotionsQueuedMax else { return false }
    queue.append(key)
    return true
  }

  /// Takes the first pages, oldest first.
  mutating func take(_ countMax: Int) -> [Key] {
    let end = min(queue.count, taken + countMax)
    let keys = Array(queue[taken..<end])
    taken = end
    if taken * 2 > queue.count {
      queue.removeFirst(taken)
      taken = 0
    }
    return keys
  }

  /// Forgets what waits.
  ///
  /// - Returns: how many pages that were.
  mutating func removeAll() -> Int {
    defer {
      queue.removeAll()
      taken = 0
    }
    return count
  }
}
