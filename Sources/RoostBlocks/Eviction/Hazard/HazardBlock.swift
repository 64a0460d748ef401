import RoostPrimitives

/// What the hazard-index policy knows of one tracked block: 44 bytes, indexed by record number. All zero is a block
/// that it does not track.
struct HazardBlock {
  /// What the block is to the policy.
  enum State: UInt8 {
    case untracked, resident, ghost
  }

  // Two halves, because an aligned double would make the struct 48 bytes long, 12 bytes a slot more.
  private var touchedLow: UInt32 = 0
  private var touchedHigh: UInt32 = 0
  /// Neighbours in the segment list.
  var previous: UInt32 = 0
  var next: UInt32 = 0
  /// Neighbours in the recency list.
  var older: UInt32 = 0
  var newer: UInt32 = 0
  /// Of a resident the block before it in its request, while both are resident; of a ghost the next older one of its
  /// queue.
  var parentOrOlder: UInt32 = HazardBlock.none
  /// Resident blocks whose parent this is; the top bits of the word hold what is true of the block.
  private var childrenAndMarks: UInt32 = 0
  private var sequenceLow: UInt32 = 0
  private var sequenceHigh: UInt16 = 0
  /// The row of its class in the model, fixed at the last touch.
  var row: UInt16 = 0
  /// Age bin.
  var bin: UInt8 = 0
  /// Touches, saturating.
  var touches: UInt8 = 0
  var state = State.untracked
  /// Counts the uses of this record, so that a child's link to a parent that is gone is recognised. A wrong match, one
  /// in 256 of a rare case, costs a decision's quality and nothing else.
  var life: UInt8

  /// A block that is not tracked.
  init(life: UInt8) { self.life = life }

  /// No block: the end of a list.
  static let none = UInt32.max
  /// The number of a block that is out of every list while its request is being decided; above all real ones.
  static let taken: UInt64 = 1 << 48 - 1

  /// Time of the last touch, in seconds of the policy's clock.
  @inline(__always) var touched: Double {
    get { Double(bitPattern: UInt64(touchedHigh) << 32 | UInt64(touchedLow)) }
    set {
      touchedLow = UInt32(truncatingIfNeeded: newValue.bitPattern)
      touchedHigh = UInt32(truncatingIfNeeded: newValue.bitPattern >> 32)
    }
  }
  /// Number of the last touch; unique, ascending. 48 bits: 8 years of a million touches a second.
  @inline(__always) var sequence: UInt64 {
    get { UInt64(sequenceHigh) << 32 | UInt64(sequenceLow) }
    set {
      sequenceLow = UInt32(truncatingIfNeeded: newValue)
      sequenceHigh = UInt16(truncatingIfNeeded: newValue >> 32)
    }
  }
  /// Stands in the segments of side 1 although it is resident: it has the lowest index but still has children.
  @inline(__always) var isParked: Bool {
    get { childrenAndMarks & 1 << 31 != 0 }
    set { mark(31, newValue) }
  }
  /// Among the newest `capacity` blocks: what LRU of the same size would hold.
  @inline(__always) var isInShadow: Bool {
    get { childrenAndMarks & 1 << 30 != 0 }
    set { mark(30, newValue) }
  }
  /// A ghost that is kept as a landmark.
  @inline(__always) var isThinned: Bool {
    get { childrenAndMarks & 1 << 29 != 0 }
    set { mark(29, newValue) }
  }
  /// In no segment, because a lease held it when it was to go.
  @inline(__always) var isAside: Bool {
    get { childrenAndMarks & 1 << 28 != 0 }
    set { mark(28, newValue) }
  }
  /// At its last touch the block was the last of its request, or a power of two before it: one to keep of an old chain.
  @inline(__always) var isLandmark: Bool {
    get { childrenAndMarks & 1 << 27 != 0 }
    set { mark(27, newValue) }
  }
  @inline(__always) var childCount: UInt32 {
    get { childrenAndMarks & 0x7FFFF }
    set { childrenAndMarks = childrenAndMarks & ~0x7FFFF | min(newValue, 0x7FFFF) }
  }
  /// The parent's `life` when the link was made.
  @inline(__always) var parentLife: UInt8 {
    get { UInt8(truncatingIfNeeded: childrenAndMarks >> 19) }
    set { childrenAndMarks = childrenAndMarks & ~(0xFF << 19) | UInt32(newValue) << 19 }
  }

  @inline(__always) private mutating func mark(_ bit: UInt32, _ isSet: Bool) {
    if isSet { childrenAndMarks |= 1 << bit } else { childrenAndMarks &= ~(1 << bit) }
  }
}
