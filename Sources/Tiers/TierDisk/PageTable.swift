import Glibc
import RoostPrimitives
import RoostStorage

/// Which page is in which slot: segments cut into slots of one size each, free slots, the order of use, the index.
/// Knows no files. A pure data structure; not thread-safe.
///
/// Which page goes: the one used longest ago in its size, a batch counting from tail to head, for a prefix is worth nothing
/// without its head. Or an `EvictionOrder` says, one a size: then it hears of everything that happens to a slot.
final class PageTable {
  struct Segment {
    var slotByteCount = 0
    var slotCount = 0
    var epoch: UInt64 = 0
    var liveCount = 0
    /// Slots being read, written or removed: the segment cannot be cut anew.
    var busyCount = 0
    var quarantinedCount = 0
    /// The moment at which a page of it was written or read last, in ticks of the table.
    var lastUsed: UInt64 = 0
    /// Whether the file is there and works.
    var isUsable = false
  }

  struct SizeClass {
    var free = RecordList()
    var used = RecordList()
    var segmentCount = 0
    /// Pages evicted or refused since `turnoverStart`. Once they are as many as the size has pages, every page that is left
    /// was used after that moment, or was preferred to one that was.
    var turnoverCount = 0
    var turnoverStart: UInt64 = 0
  }

  private(set) var segments: [Segment]
  private(set) var classes: [Int: SizeClass] = [:]
  private(set) var index = PageIndex()
  private(set) var identities = IdentityTable()
  private(set) var pageBytes = 0
  private(set) var evictedCount = 0
  /// What decides in place of the order of use, and for each size that has slots what it makes.
  var orderKind: EvictionOrderKind?
  var orders: [Int: any EvictionOrder] = [:]
  /// Counts batches: the table's clock.
  private var tick: UInt64 = 0
  let segmentByteCount: Int
  /// Record numbers of a segment: number * span ..< (number + 1) * span.
  let span: Int
  let records: UnsafeMutablePointer<PageRecord>
  private let reservedBytes: Int

  init(segmentCount: Int, segmentByteCount: Int) throws(RoostError) {
    segments = Array(repeating: Segment(), count: segmentCount)
    self.segmentByteCount = segmentByteCount
    span = max(1, segmentByteCount / Limits.slotBytesMin)
    // Address space for the smallest slots everywhere; memory for those that are there.
    reservedBytes = max(1, segmentCount * span) * MemoryLayout<PageRecord>.stride
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    guard let memory = mmap(nil, reservedBytes, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
      throw .system("mmap", errno, "cannot reserve memory for the pages of a disk tier; raise ulimit -v")
    }
    records = memory.bindMemory(to: PageRecord.self, capacity: segmentCount * span)
  }

  deinit { munmap(records, reservedBytes) }

  var pageCount: Int { index.count }
  var quarantinedCount: Int { segments.reduce(0) { $0 + $1.quarantinedCount } }

  /// Whether no segment is cut into slots of a size.
  func isEmpty(_ slotByteCount: Int) -> Bool { (classes[slotByteCount]?.segmentCount ?? 0) == 0 }

  // MARK: Places

  func segment(of record: UInt32) -> Int { Int(record) / span }
  func place(of record: UInt32) -> SlotPlace {
    SlotPlace(segment: UInt32(Int(record) / span), index: UInt32(Int(record) % span))
  }
  func record(at place: SlotPlace) -> UInt32 { UInt32(Int(place.segment) * span + Int(place.index)) }
  func slotByteCount(of record: UInt32) -> Int { segments[segment(of: record)].slotByteCount }
  func offset(of record: UInt32) -> Int {
    SegmentHeader.offset(of: place(of: record).index, slotByteCount: slotByteCount(of: record))
  }
  func setUsable(_ segment: Int, _ isUsable: Bool = true) { segments[segment].isUsable = isUsable }

  // MARK: Keys

  /// The page's key, nil if nobody has met its identity.
  func key(of name: PageName) -> Key? { identities.id(of: name.identity).map(name.key(identity:)) }

  /// The page's key; nil if there are too many identities.
  func internedKey(of name: PageName) -> Key? {
    if let key = key(of: name) { return key }
    guard identities.digests.count < Limits.identityCountMax else { return nil }
    return name.key(identity: identities.intern(name.identity))
  }

  func name(of record: UInt32) -> PageName {
    let key = records[Int(record)].key
    return PageName(key, identity: identities[key.identity])
  }

  /// The record that a name leads to: being written or live.
  func find(_ name: PageName) -> UInt32? { key(of: name).flatMap { index.find($0, in: records) } }

  /// Gives an identity the next number; false if it has one already or there are too many.
  func adopt(_ digest: IdentityDigest) -> Bool {
    guard identities.id(of: digest) == nil, identities.digests.count < Limits.identityCountMax else { return false }
    _ = identities.intern(digest)
    return true
  }

  /// The records of an identity's pages: being written or live. Looks at every slot.
  func records(of identity: IdentityID) -> [UInt32] {
    var found: [UInt32] = []
    for number in segments.indices {
      for record in (number * span)..<(number * span + segments[number].slotCount)
      where records[record].state == .live || records[record].state == .writing {
        if records[record].key.identity == identity { found.append(UInt32(record)) }
      }
    }
    return found
  }

  // MARK: Cutting

  /// Cuts a segment into free slots, or takes over how it was cut before.
  func cut(_ number: Int, slotByteCount: Int, epoch: UInt64) {
    let count = SegmentHeader.slotCount(slotByteCount, segmentByteCount: segmentByteCount)
    segments[number].slotByteCount = slotByteCount
    segments[number].slotCount = count
    segments[number].epoch = epoch
    classes[slotByteCount, default: SizeClass()].segmentCount += 1
    for slot in 0..<count { records[number * span + slot].state = .absent }
  }

  /// Makes the slots of a cut segment that hold nothing free. The first ones are used first.
  func freeAbsentSlots(of number: Int) {
    let size = segments[number].slotByteCount
    for slot in 0..<segments[number].slotCount {
      let record = number * span + slot
      guard records[record].state == .absent else { continue }
      records[record].state = .free
      records[record].pinCount = 0
      classes[size]?.free.append(UInt32(record), in: records)
    }
    addToOrder(segment: number)
  }

  /// A usable segment that is not cut, or else an idle one of another size, emptied; nil if this size should evict pages
  /// of its own. `cut` comes next.
  ///
  /// A size without a segment takes the one with the fewest pages. A size that has some takes one whose pages were all
  /// used before any of its own: so a model that came late gets the room of one that nobody asks any more. Segments of
  /// `spared` sizes stay as they are.
  func segmentToCut(for slotByteCount: Int, sparing spared: Set<Int> = []) -> Int? {
    if let uncut = segments.firstIndex(where: { $0.isUsable && $0.slotByteCount == 0 }) { return uncut }
    let size = classes[slotByteCount] ?? SizeClass()
    guard size.segmentCount == 0 || size.turnoverCount > size.used.count else { return nil }
    let idle = segments.indices.filter {
      segments[$0].isUsable && segments[$0].busyCount == 0 && segments[$0].quarantinedCount == 0
        && !spared.contains(segments[$0].slotByteCount)
    }
    let chosen: Int?
    if size.segmentCount == 0 {
      chosen = idle.min { segments[$0].liveCount < segments[$1].liveCount }
    } else {
      let others = idle.filter { segments[$0].slotByteCount != slotByteCount }
      chosen = others.min { segments[$0].lastUsed < segments[$1].lastUsed }.flatMap {
        segments[$0].lastUsed < size.turnoverStart ? $0 : nil
      }
      classes[slotByteCount]?.turnoverCount = 0
      classes[slotByteCount]?.turnoverStart = tick
    }
    if let chosen { uncut(chosen) }
    return chosen
  }

  private func uncut(_ number: Int) {
    let size = segments[number].slotByteCount
    removeFromOrder(segment: number)
    for slot in 0..<segments[number].slotCount {
      let record = UInt32(number * span + slot)
      if records[Int(record)].state == .live {
        evictedCount += 1
        forget(record)
      }
      classes[size]?.free.remove(record, in: records)
      records[Int(record)].state = .absent
    }
    classes[size]?.segmentCount -= 1
    segments[number].slotByteCount = 0
    segments[number].slotCount = 0
  }

  // MARK: The life of a slot

  /// A free slot of a size, evicting the page used longest ago if need be; nil if every page is being read or written.
  func takeSlot(_ slotByteCount: Int) -> UInt32? {
    guard let size = classes[slotByteCount] else { return nil }
    if size.free.count == 0 {
      var candidate = size.used.oldest
      // Those that cannot go are in flight, of which there are few.
      while candidate != 0, !isEvictable(candidate - 1) { candidate = records[Int(candidate - 1)].newer }
      guard candidate != 0 else { return nil }
      evict(candidate - 1)
    }
    guard let oldest = classes[slotByteCount]?.free.oldest, oldest != 0 else { return nil }
    takeFree(oldest - 1)
    return oldest - 1
  }

  /// Makes the slot of a page that nobody uses free, for pages of its size.
  func evict(_ record: UInt32) {
    evictedCount += 1
    classes[slotByteCount(of: record)]?.turnoverCount += 1
    forget(record)
  }

  /// Takes a free slot: `beginWrite` comes next.
  func takeFree(_ record: UInt32) { classes[slotByteCount(of: record)]?.free.remove(record, in: records) }

  /// A page of a size was not let in.
  func noteRefusal(_ slotByteCount: Int) { classes[slotByteCount]?.turnoverCount += 1 }

  private func isEvictable(_ record: UInt32) -> Bool {
    records[Int(record)].state == .live && records[Int(record)].pinCount == 0
  }

  /// Gives a taken slot to a page that is about to be written. Found by `find` from now on, so that it is not written
  /// twice; not readable yet.
  func beginWrite(_ record: UInt32, key: Key, facts: PageFacts, generation: UInt64) {
    fill(record, key: key, facts: facts, generation: generation, state: .writing)
    segments[segment(of: record)].busyCount += 1
    index.insert(record, in: records)
  }

  /// Puts pages being written into the order of use, tail first.
  func noteWrites(_ headToTail: [UInt32]) {
    tick += 1
    for record in headToTail.reversed() {
      classes[slotByteCount(of: record)]?.used.append(record, in: records)
      segments[segment(of: record)].lastUsed = tick
    }
  }

  func endWrite(_ record: UInt32) {
    records[Int(record)].state = .live
    let number = segment(of: record)
    segments[number].busyCount -= 1
    segments[number].liveCount += 1
    pageBytes += Int(records[Int(record)].byteCount)
    order(around: record)?.release(orderNumber(of: record))
  }

  /// The write failed. Nobody knows what is in the slot: `endRemoval` or `failRemoval` comes when that has been noted
  /// on disk, or could not be.
  func failWrite(_ record: UInt32) {
    index.remove(record, in: records)
    classes[slotByteCount(of: record)]?.used.remove(record, in: records)
    records[Int(record)].state = .leaving
    removeFromOrder(record)
  }

  /// Holds a page that is being read.
  func pin(_ record: UInt32) {
    if records[Int(record)].pinCount == 0 {
      segments[segment(of: record)].busyCount += 1
      order(around: record)?.hold(orderNumber(of: record))
    }
    records[Int(record)].pinCount += 1
  }

  /// Makes pages the last used, tail first.
  func reorder(_ headToTail: [UInt32], at nanoseconds: UInt64) {
    tellOrders(headToTail, at: nanoseconds)
    tick += 1
    for record in headToTail.reversed() {
      segments[segment(of: record)].lastUsed = tick
      let size = slotByteCount(of: record)
      classes[size]?.used.remove(record, in: records)
      classes[size]?.used.append(record, in: records)
    }
  }

  /// A page matched its seal.
  func prove(_ record: UInt32) { records[Int(record)].isProven = true }

  /// A read ended.
  func unpin(_ record: UInt32) {
    records[Int(record)].pinCount -= 1
    guard records[Int(record)].pinCount == 0 else { return }
    segments[segment(of: record)].busyCount -= 1
    if records[Int(record)].state == .live { order(around: record)?.release(orderNumber(of: record)) }
  }

  /// Takes a live page out of the index; its slot is neither free nor readable until `endRemoval`.
  func beginRemoval(_ record: UInt32) {
    leave(record)
    removeFromOrder(record)
    records[Int(record)].state = .leaving
    segments[segment(of: record)].busyCount += 1
  }

  /// The note of the removal is on disk: the slot is free.
  func endRemoval(_ record: UInt32) {
    segments[segment(of: record)].busyCount -= 1
    release(record)
    addToOrder(record)
  }

  /// The note of the removal failed: the page is out of sight until a restart, and its slot is not used.
  func failRemoval(_ record: UInt32) {
    segments[segment(of: record)].busyCount -= 1
    setAside(record)
  }

  /// Sets a live page aside: it is not found any more, and its slot is not used again.
  func quarantine(_ record: UInt32) {
    leave(record)
    removeFromOrder(record)
    setAside(record)
  }

  /// Enters what recovery found at a place of a cut segment.
  func adopt(_ header: PageHeader, key: Key, isProven: Bool = false) {
    let record = record(at: header.place)
    switch header.state {
    case .removed: break
    case .quarantined: setAside(record)
    case .live:
      fill(record, key: key, facts: header.facts, generation: header.generation, state: .live)
      records[Int(record)].isProven = isProven
    }
  }

  /// Sets a slot aside whose header cannot be read.
  func adoptUnreadable(_ place: SlotPlace) { setAside(record(at: place)) }

  /// What the next cutting of a segment counts from, so that headers of a cutting that nobody remembers mean nothing.
  func raiseEpoch(of number: Int, to epoch: UInt64) {
    segments[number].epoch = max(segments[number].epoch, epoch)
  }

  /// Builds index and order of use from the adopted records. Of two records of a page the later one stays, if `isIntact`
  /// says that it is whole: a copy that was cut off must not cost the one before it. The other is returned, leaving:
  /// lest it come back one day, when the one that stayed has been removed, that must be noted on disk.
  func settle(isIntact: (UInt32) -> Bool) -> [UInt32] {
    var live: [UInt32] = []
    for number in segments.indices {
      for slot in 0..<segments[number].slotCount where records[number * span + slot].state == .live {
        live.append(UInt32(number * span + slot))
      }
    }
    live.sort { records[Int($0)].generation > records[Int($1)].generation }
    index = PageIndex(reserving: live.count)
    var stale: [UInt32] = []
    for record in live {
      if let later = index.find(records[Int(record)].key, in: records) {
        if !records[Int(later)].isProven { records[Int(later)].isProven = isIntact(later) }
        let isLaterKept = records[Int(later)].isProven
        stale.append(isLaterKept ? record : later)
        records[Int(isLaterKept ? record : later)].state = .leaving
        if isLaterKept { continue }
        index.remove(later, in: records)
      }
      index.insert(record, in: records)
    }
    for record in live.reversed() where records[Int(record)].state == .live {
      segments[segment(of: record)].liveCount += 1
      pageBytes += Int(records[Int(record)].byteCount)
      classes[slotByteCount(of: record)]?.used.append(record, in: records)
      tick += 1
      segments[segment(of: record)].lastUsed = tick
    }
    for record in stale { segments[segment(of: record)].busyCount += 1 }
    for number in segments.indices { freeAbsentSlots(of: number) }
    return stale
  }

  private func fill(_ record: UInt32, key: Key, facts: PageFacts, generation: UInt64, state: PageRecord.State) {
    records[Int(record)] = PageRecord(key: key, facts: facts, generation: generation, state: state)
  }

  /// Takes a live record out of index and order.
  private func leave(_ record: UInt32) {
    index.remove(record, in: records)
    classes[slotByteCount(of: record)]?.used.remove(record, in: records)
    segments[segment(of: record)].liveCount -= 1
    pageBytes -= Int(records[Int(record)].byteCount)
  }

  private func forget(_ record: UInt32) {
    leave(record)
    release(record)
  }

  private func release(_ record: UInt32) {
    records[Int(record)].state = .free
    classes[slotByteCount(of: record)]?.free.append(record, in: records)
  }

  private func setAside(_ record: UInt32) {
    records[Int(record)].state = .quarantined
    segments[segment(of: record)].quarantinedCount += 1
  }
}
