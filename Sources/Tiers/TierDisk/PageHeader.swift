import RoostPrimitives
import RoostStorage

/// What stands in front of every page on disk and makes it self-describing: whose page it is, where it should be, how
/// long it is, and its seal. Without the right check, store, place and epoch it means nothing.
///
/// Little-endian, at these offsets: magic 0 (8), version 8 (4), state 12 (1), codec 13 (1), group 14 (2), store 16 (16),
/// segment 32 (4), slot 36 (4), epoch 40 (8), generation 48 (8), identity digest 56 (32), hash 88 (32), hash length 120
/// (4), page length 124 (4), layout 128 (8), seal 136 (16), time written 152 (8), check over all before it 160 (16).
struct PageHeader: Hashable, Sendable {
  enum State: UInt8, Sendable {
    /// A page follows.
    case live = 1
    /// There was a page; it was removed.
    case removed = 2
    /// There was a page; what followed was not it.
    case quarantined = 3
  }

  var state: State
  var name: PageName
  var facts: PageFacts
  var place: SlotPlace
  /// Which cutting of the segment this belongs to.
  var epoch: UInt64
  /// Grows with every page written; of two pages with one name the later one counts.
  var generation: UInt64
  /// Seconds since 1970.
  var writtenAt: UInt64

  static let magic: UInt64 = 0x4547_4150_5453_4F52
  static let version: UInt32 = 1
  private static let checkOffset = 160

  /// Why a header is not believed.
  enum Fault: Hashable, Sendable {
    /// Only zeros: nothing was ever written here.
    case empty
    /// Cut off, overwritten, or of a version that this build does not know.
    case damaged
    /// The drive does not give it out.
    case unreadable
    /// A header of another store, place or epoch.
    case elsewhere
  }

  /// Writes the header, and zeros behind it, into a granule.
  func encode(into granule: UnsafeMutableRawBufferPointer, store: StoreID) {
    guard let start = granule.baseAddress else { return }
    granule.initializeMemory(as: UInt8.self, repeating: 0)
    let fields = ByteFields(start)
    fields.put(PageHeader.magic, at: 0)
    fields.put(PageHeader.version, at: 8)
    fields.put(state.rawValue, at: 12)
    fields.put(facts.representation.codec.rawValue, at: 13)
    fields.put(name.group, at: 14)
    fields.put(store.low, at: 16)
    fields.put(store.high, at: 24)
    fields.put(place.segment, at: 32)
    fields.put(place.index, at: 36)
    fields.put(epoch, at: 40)
    fields.put(generation, at: 48)
    fields.putBytes(name.identity.words, at: 56)
    fields.putBytes(name.words, at: 88)
    fields.put(UInt32(name.hashByteCount), at: 120)
    fields.put(UInt32(facts.byteCount), at: 124)
    fields.put(facts.representation.layout, at: 128)
    fields.put(facts.seal.low, at: 136)
    fields.put(facts.seal.high, at: 144)
    fields.put(writtenAt, at: 152)
    let check = PageHeader.check(start)
    fields.put(check.low, at: PageHeader.checkOffset)
    fields.put(check.high, at: PageHeader.checkOffset + 8)
  }

  /// Reads a header that should be of this store, place and epoch. Believes nothing: any bytes give a header or a fault.
  static func decode(
    _ start: UnsafeMutableRawPointer, store: StoreID, place: SlotPlace, epoch: UInt64, slotByteCount: Int
  ) -> Result<PageHeader, FaultError> {
    let fields = ByteFields(start)
    guard fields.get(0) == magic else {
      let bytes = UnsafeRawBufferPointer(start: start, count: Limits.pageHeaderBytes)
      return .failure(FaultError(bytes.allSatisfy { $0 == 0 } ? .empty : .damaged))
    }
    let seal = check(start)
    guard fields.get(8) == version, fields.get(checkOffset) == seal.low, fields.get(checkOffset + 8) == seal.high,
      let state = State(rawValue: fields.get(12)), let codec = Representation.Codec(rawValue: fields.get(13))
    else { return .failure(FaultError(.damaged)) }
    guard fields.get(16) == store.low, fields.get(24) == store.high, fields.get(32) == place.segment,
      fields.get(36) == place.index, fields.get(40) == epoch
    else { return .failure(FaultError(.elsewhere)) }
    let hashByteCount: UInt32 = fields.get(120)
    let byteCount = Int(fields.get(124, as: UInt32.self))
    guard hashByteCount >= Key.hashByteCountMin, hashByteCount <= Key.hashByteCountMax, byteCount > 0,
      byteCount <= slotByteCount, fields.get(48, as: UInt64.self) < Limits.generationMax
    else { return .failure(FaultError(.damaged)) }
    var key = Key(identity: IdentityID(rawValue: 0), group: fields.get(14), words: fields.getBytes(88))
    key.hashByteCount = UInt8(hashByteCount)
    let facts = PageFacts(
      byteCount: byteCount, seal: Seal(low: fields.get(136), high: fields.get(144)),
      representation: Representation(layout: fields.get(128), codec: codec))
    return .success(
      PageHeader(
        state: state, name: PageName(key, identity: IdentityDigest(words: fields.getBytes(56))), facts: facts,
        place: place, epoch: epoch, generation: fields.get(48), writtenAt: fields.get(152)))
  }

  /// A `Fault` as the failure of a `Result`.
  struct FaultError: Error {
    let fault: Fault
    init(_ fault: Fault) { self.fault = fault }
  }

  private static func check(_ start: UnsafeMutableRawPointer) -> Seal {
    Seal(over: UnsafeRawBufferPointer(start: start, count: checkOffset))
  }
}
