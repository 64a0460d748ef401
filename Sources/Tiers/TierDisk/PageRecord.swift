import RoostPrimitives
import RoostStorage

/// What a tier knows in memory about one slot: 88 bytes.
struct PageRecord {
  enum State: UInt8 {
    /// The slot does not exist in the present cutting of its segment.
    case absent
    /// Holds nothing.
    case free
    /// A page is being written to it.
    case writing
    /// Holds a page that can be read.
    case live
    /// Its page was removed; the note of that on disk is under way, or a reader still holds it.
    case leaving
    /// Set aside.
    case quarantined
  }

  var key: Key
  var layout: UInt64
  var seal: Seal
  var generation: UInt64
  var byteCount: UInt32
  var state: State
  /// The codec, and in the highest bit whether only the header vouches for the page.
  private var codecBits: UInt8
  /// Reads under way.
  var pinCount: UInt16
  /// Neighbours in a `RecordList`: record numbers plus one, zero for none.
  var older: UInt32
  var newer: UInt32

  private static let unproven: UInt8 = 0x80

  init(key: Key, facts: PageFacts, generation: UInt64, state: State) {
    self.key = key
    layout = facts.representation.layout
    seal = facts.seal
    self.generation = generation
    byteCount = UInt32(facts.byteCount)
    self.state = state
    codecBits = facts.representation.codec.rawValue
    pinCount = 0
    older = 0
    newer = 0
  }

  /// What was done to the bytes.
  var codec: Representation.Codec { Representation.Codec(rawValue: codecBits & ~PageRecord.unproven) ?? .plain }

  /// Whether the page was seen whole: written, or read and found to match its seal, in this session or one that ended
  /// cleanly. Otherwise its write may have been cut off by what ended the last session.
  var isProven: Bool {
    get { codecBits & PageRecord.unproven == 0 }
    set { codecBits = newValue ? codecBits & ~PageRecord.unproven : codecBits | PageRecord.unproven }
  }

  var facts: PageFacts {
    PageFacts(byteCount: Int(byteCount), seal: seal, representation: Representation(layout: layout, codec: codec))
  }
}

/// A list of records, oldest to newest, linked through the records themselves. A record is in one list at most.
struct RecordList {
  private(set) var oldest: UInt32 = 0
  private(set) var newest: UInt32 = 0
  private(set) var count = 0

  /// Puts a record at the new end.
  mutating func append(_ record: UInt32, in records: UnsafeMutablePointer<PageRecord>) {
    records[Int(record)].older = newest
    records[Int(record)].newer = 0
    if newest == 0 { oldest = record + 1 } else { records[Int(newest - 1)].newer = record + 1 }
    newest = record + 1
    count += 1
  }

  /// Takes a record that is in this list out of it.
  mutating func remove(_ record: UInt32, in records: UnsafeMutablePointer<PageRecord>) {
    let (older, newer) = (records[Int(record)].older, records[Int(record)].newer)
    if older == 0 { oldest = newer } else { records[Int(older - 1)].newer = newer }
    if newer == 0 { newest = older } else { records[Int(newer - 1)].older = older }
    count -= 1
  }
}
