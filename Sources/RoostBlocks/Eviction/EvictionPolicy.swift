import RoostPrimitives

/// Decides which blocks of one slot class stay: who goes, and who is let in.
///
/// A policy hears of whole requests, never of single blocks, and answers with record numbers; the table does what it
/// says. It keeps its own state in dense arrays indexed by `RecordNumber`. What happens, in order:
///
/// 1. A request's blocks were looked up. `decide` names the victims and how many newcomers are let in.
/// 2. The table evicts. With `keepsGhosts` evicted blocks stay as ghosts, and `makeRecords` may drop old ones.
/// 3. The table admits, and makes records; with `keepsGhosts` also for blocks that were refused.
/// 4. `settle` sees the same blocks with their records and what became of them, and may drop ghosts.
/// 5. Later, outside requests: `released`, `removed`, `evict`.
///
/// Rules the table relies on: a victim is evictable (`BlockStates.isEvictable`), is no block of the request, and is
/// named once; the policy forgets a victim when it names it, unless it keeps ghosts. A resident block of the class is
/// always known to its policy, whatever leases hold it: a policy that meets a held block while it looks for a victim
/// puts it aside and hears of it by `released`.
///
/// Not thread-safe; the table calls it under its driver's lock. Nothing here may block, and nothing may allocate per
/// block.
public protocol EvictionPolicy: AnyObject {
  /// Whether evicted and refused blocks stay tracked without a slot until the policy drops them.
  var keepsGhosts: Bool { get }

  /// Bytes of memory that the policy has reserved.
  var reservedBytes: Int { get }

  /// THE event of a request. Appends to `victims` the resident blocks to evict and returns how many of the request's
  /// newcomers are let in; the first ones, head to tail, the others are refused.
  ///
  /// At most `event.admissionMax` can be let in; victims are needed for what goes beyond `event.freeSlotCount`. If
  /// there are fewer victims than that, the table lets in as many as fit.
  func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int

  /// The victims are gone, and the request's newcomers are about to get records: those let in, and with `keepsGhosts`
  /// also the refused ones among the first `event.capacity` blocks. The ghosts appended to `dropped` give up theirs; none
  /// of them may be among these first blocks. A newcomer for whom there is no record is refused and not tracked.
  func makeRecords(_ event: RequestEvent, dropped: inout [RecordNumber])

  /// The outcome of the same request: every block's final standing and record. The ghosts appended to `dropped` are
  /// no longer tracked.
  func settle(_ event: RequestEvent, dropped: inout [RecordNumber])

  /// These residents can be evicted again: their last lease ended or their store was published. Head to tail.
  func released(_ records: [RecordNumber])

  /// These blocks are gone for a reason other than the policy's own decision: failed stores, forgotten identities.
  /// Their numbers may be used again. A block that the policy does not know is to be ignored.
  func removed(_ records: [RecordNumber])

  /// These residents came with a kept pool, in no particular order. If they were ghosts, `removed` came before.
  func adopted(_ records: [RecordNumber])

  /// Names up to `count` victims outside a request, for eviction in the background.
  func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber])

  /// Forgets everything; the table is empty.
  func reset()

  /// What is wrong with the policy's own structures, for tests; may take O(n).
  func checkInvariants(_ states: BlockStates) -> [String]
}

extension EvictionPolicy {
  /// Drops nothing: for policies without ghosts, or with records to spare for those of a request.
  public func makeRecords(_ event: RequestEvent, dropped: inout [RecordNumber]) {}
}

/// What a request means for its slot class. A view: valid during the call only.
public struct RequestEvent {
  /// The request.
  public let request: RequestID
  /// When, in nanoseconds of the engine's clock.
  public let time: UInt64
  /// The request's blocks, head to tail; all of them, hits included.
  public internal(set) var blocks: UnsafeBufferPointer<RequestBlock>
  /// The state of any block that the policy tracks.
  public let states: BlockStates
  /// Slots of the class, in whatever state.
  public let capacity: Int
  /// Slots that are free now.
  public let freeSlotCount: Int
  /// Blocks of the request that have no slot.
  public let newcomerCount: Int
  /// The most newcomers that can be let in: free slots and evictable blocks of other requests; 0 if the request
  /// stores nothing.
  public let admissionMax: Int
  /// Tokens that the request generated, nil if nobody told.
  public let outputTokenCount: Int?

  package init(
    origin: RequestOrigin, states: BlockStates, capacity: Int, freeSlotCount: Int, newcomerCount: Int,
    admissionMax: Int
  ) {
    request = origin.request
    time = origin.time
    outputTokenCount = origin.outputTokenCount
    blocks = UnsafeBufferPointer(start: nil, count: 0)
    self.states = states
    self.capacity = capacity
    self.freeSlotCount = freeSlotCount
    self.newcomerCount = newcomerCount
    self.admissionMax = admissionMax
  }

  /// The same event with the blocks as they are now.
  package func over(_ blocks: UnsafeBufferPointer<RequestBlock>) -> RequestEvent {
    var event = self
    event.blocks = blocks
    return event
  }
}

/// One block of a request, as its policy sees it.
public struct RequestBlock: Hashable, Sendable {
  /// What the block is to the cache.
  public enum Standing: UInt8, Sendable {
    /// Before: unknown to the table.
    case untracked
    /// Before and after: tracked, without a slot.
    case ghost
    /// Before and after: has a slot, filled or being filled.
    case held
    /// After: has been given a slot.
    case admitted
  }

  /// The record; `none` if the block is untracked.
  public internal(set) var record: RecordNumber
  /// What the block is; in `settle`, what has become of it.
  public internal(set) var standing: Standing

  package init(record: RecordNumber, standing: Standing) {
    self.record = record
    self.standing = standing
  }
}

/// Reads the state of blocks. A view: valid during the call that brought it.
public struct BlockStates {
  private let records: UnsafePointer<BlockRecord>

  package init(_ records: borrowing BlockRecords) { self.records = UnsafePointer(records.pointer) }

  /// Whether the block is resident, published and not held.
  public func isEvictable(_ record: RecordNumber) -> Bool { records[Int(record.rawValue)].state == .ready }

  /// Whether the block has a slot.
  public func isResident(_ record: RecordNumber) -> Bool { records[Int(record.rawValue)].isResident }
}
