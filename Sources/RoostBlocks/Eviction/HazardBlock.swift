import RoostPrimitives

/// What the hazard-index policy knows of one tracked block: 48 bytes, indexed by record number. All zero is a block
/// that it does not track.
struct HazardBlock {
  /// What the block is to the policy.
  enum State: UInt8 {
    case untracked, resident, ghost
  }

  /// Time of the last touch, in seconds of the policy's clock.
  var touched: Double
  /// Number of the last touch; unique, ascending.
  var sequence: UInt64
  /// Neighbours in the segment list.
  var previous: UInt32
  var next: UInt32
  /// Neighbours in the recency list.
  var older: UInt32
  var newer: UInt32
  /// The block before this one in its request, while both are resident.
  var parent: UInt32
  /// Resident blocks whose parent this is; the top bits of the word hold what is true of the block.
  var childrenAndMarks: UInt32
  /// Class, fixed at the last touch.
  var hazardClass: UInt16
  /// Distance from the end of the request at the last touch.
  var fromTail: UInt16
  /// Age bin.
  var bin: UInt8
  /// Touches, saturating.
  var touches: UInt8
  var state: State
  /// Counts the uses of this record, so that a child's link to a parent that is gone is recognised. A wrong match, one
  /// in 256 of a rare case, costs a decision's quality and nothing else.
  var life: UInt8

  static let none = UInt32.max

  /// Stands in the segments of side 1 although it is resident: it has the lowest index but still has children.
  var isParked: Bool {
    get { childrenAndMarks & 1 << 31 != 0 }
    set { mark(31, newValue) }
  }
  /// Among the newest `capacity` blocks: what LRU of the same size would hold.
  var isInShadow: Bool {
    get { childrenAndMarks & 1 << 30 != 0 }
    set { mark(30, newValue) }
  }
  /// A ghost that is kept as a landmark.
  var isThinned: Bool {
    get { childrenAndMarks & 1 << 29 != 0 }
    set { mark(29, newValue) }
  }
  /// In no segment, because a lease held it when it was to go.
  var isAside: Bool {
    get { childrenAndMarks & 1 << 28 != 0 }
    set { mark(28, newValue) }
  }
  var childCount: UInt32 {
    get { childrenAndMarks & 0xFFFFF }
    set { childrenAndMarks = childrenAndMarks & ~0xFFFFF | min(newValue, 0xFFFFF) }
  }
  /// The parent's `life` when the link was made.
  var parentLife: UInt8 {
    get { UInt8(truncatingIfNeeded: childrenAndMarks >> 20) }
    set { childrenAndMarks = childrenAndMarks & ~(0xFF << 20) | UInt32(newValue) << 20 }
  }

  private mutating func mark(_ bit: UInt32, _ isSet: Bool) {
    if isSet { childrenAndMarks |= 1 << bit } else { childrenAndMarks &= ~(1 << bit) }
  }
}

/// Block numbers in a binary min-heap by sequence; entries whose block has changed are skipped when met and swept out
/// when they are more than half.
struct GhostHeap {
  struct Entry {
    var sequence: UInt64
    var block: UInt32
  }

  private(set) var entries: [Entry] = []

  mutating func push(_ entry: Entry) {
    entries.append(entry)
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if entries[parent].sequence <= entries[child].sequence { break }
      entries.swapAt(parent, child)
      child = parent
    }
  }

  mutating func pop() -> Entry? {
    guard let first = entries.first else { return nil }
    let last = entries.removeLast()
    if !entries.isEmpty {
      entries[0] = last
      sink(0)
    }
    return first
  }

  /// Keeps the entries that `isCurrent` accepts.
  mutating func sweep(_ isCurrent: (Entry) -> Bool) {
    entries.removeAll { !isCurrent($0) }
    for index in stride(from: entries.count / 2 - 1, through: 0, by: -1) { sink(index) }
  }

  mutating func removeAll() { entries.removeAll() }

  private mutating func sink(_ start: Int) {
    var parent = start
    while true {
      var child = 2 * parent + 1
      guard child < entries.count else { return }
      if child + 1 < entries.count, entries[child + 1].sequence < entries[child].sequence { child += 1 }
      if entries[parent].sequence <= entries[child].sequence { return }
      entries.swapAt(parent, child)
      parent = child
    }
  }
}
