import CRoostPlatform
import RoostPrimitives

/// How far a slot's content is, as the slot table says it. The engine's own states are finer.
public enum RowState: UInt32, Sendable, CaseIterable {
  /// Nothing that anybody may read.
  case empty
  /// Given to writers; not published.
  case filling
  /// Published. Not adopted by a next owner, since nothing proves the bytes.
  case ready
  /// Published, with a seal.
  case sealed
}

/// What a slot is at the moment: enough to see whether it still means what it meant.
public struct SlotStanding: Hashable, Sendable {
  /// Which reuse of the slot this is.
  public var generation: UInt32
  /// How far the content is.
  public var state: RowState
  /// The size of the slot.
  public var slotByteCount: Int
}

/// What the slot table says about one slot.
public struct SlotRow: Hashable, Sendable {
  /// The slot.
  public var slot: SlotNumber
  /// Which reuse of the slot this is.
  public var generation: UInt32
  /// How far the content is.
  public var state: RowState
  /// Whose page it is. The identity must have been recorded (`Pool.record`).
  public var key: Key
  /// The bytes that the page fills of the slot.
  public var byteCount: UInt32
  /// How the values lie in it: a number that the engine gives out.
  public var representation: UInt32
  /// The seal; zero where the state is not `sealed`.
  public var seal: Seal

  /// Describes a slot.
  public init(
    slot: SlotNumber, generation: UInt32, state: RowState, key: Key, byteCount: UInt32 = 0
  ) {
    self.slot = slot
    self.generation = generation
    self.state = state
    self.key = key
    self.byteCount = byteCount
    representation = 0
    seal = Seal(low: 0, high: 0)
  }
}

extension SlotRow {
  /// The row as the table holds it, without its check.
  var stored: roost_table_row {
    roost_table_row(
      identity: key.identity.rawValue, group: key.group, hash_bytes: key.hashByteCount, reserved: 0, hash: key.words,
      generation: generation, state: state.rawValue, byte_count: byteCount, representation: representation,
      seal: (seal.low, seal.high), check: 0)
  }

  /// A row whose check has been found good; nil if it makes no sense all the same.
  init?(_ stored: roost_table_row, slot: SlotNumber) {
    let length = Int(stored.hash_bytes)
    guard let state = RowState(rawValue: stored.state), state != .empty, length >= Key.hashByteCountMin,
      length <= Key.hashByteCountMax
    else { return nil }
    let words = stored.hash
    let key = withUnsafeBytes(of: words) { bytes in
      Key(
        identity: IdentityID(rawValue: stored.identity), group: stored.group,
        hash: UnsafeRawBufferPointer(rebasing: bytes[..<length]))
    }
    self.init(slot: slot, generation: stored.generation, state: state, key: key, byteCount: stored.byte_count)
    representation = stored.representation
    seal = Seal(low: stored.seal.0, high: stored.seal.1)
  }
}
