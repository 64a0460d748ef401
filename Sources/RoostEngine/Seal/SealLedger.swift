import RoostBlocks
import RoostPrimitives

/// Which pages are to be sealed: those of open stores, by lease, and the published ones, in the order of their
/// publication. A pure state machine; without sealing and tier it holds nothing and costs nothing.
struct SealLedger {
  /// A page that was admitted.
  struct Page: Hashable {
    var key: Key
    var slot: SlotNumber
    var generation: UInt32
  }

  /// Whether anybody wants to know what a store published.
  var isActive = false
  /// Whether what is published is to be sealed.
  var isSealing = false
  private var open: [LeaseID: [Page]] = [:]
  private var queue: [Page] = []
  private var taken = 0

  /// Whether pages wait to be sealed.
  var hasWork: Bool { taken < queue.count }

  /// A store begins: notes what it admitted.
  mutating func begin(
    _ lease: LeaseID, _ keys: UnsafeBufferPointer<Key>, _ grants: UnsafeMutableBufferPointer<StoreGrant>
  ) {
    guard isActive else { return }
    var pages: [Page] = []
    for (key, grant) in zip(keys, grants) where grant.outcome == .admitted {
      pages.append(Page(key: key, slot: grant.slot, generation: grant.generation))
    }
    open[lease] = pages
  }

  /// The store is published: its pages are to be sealed.
  ///
  /// - Returns: its pages.
  @discardableResult mutating func published(_ lease: LeaseID) -> [Page] {
    guard let pages = open.removeValue(forKey: lease) else { return [] }
    if isSealing { queue.append(contentsOf: pages) }
    return pages
  }

  /// The store was given up.
  mutating func dropped(_ lease: LeaseID) { open[lease] = nil }

  /// Takes at most `countMax` pages, oldest first.
  mutating func take(countMax: Int) -> ArraySlice<Page> {
    let end = min(queue.count, taken + countMax)
    let pages = queue[taken..<end]
    taken = end
    if taken == queue.count {
      queue.removeAll(keepingCapacity: true)
      taken = 0
    }
    return pages
  }

  /// Puts pages back that could not be held; they are taken again later.
  mutating func putBack(_ pages: ArraySlice<Page>) { queue.append(contentsOf: pages) }

  /// Forgets the stores whose leases are over without a word.
  mutating func prune(_ isLive: (LeaseID) -> Bool) {
    if !open.isEmpty { open = open.filter { isLive($0.key) } }
  }

  /// Forgets everything.
  mutating func reset() {
    open.removeAll()
    queue.removeAll()
    taken = 0
  }
}
