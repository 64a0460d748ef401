import RoostBlocks
import RoostPool
import RoostPrimitives

/// What the engine's lock protects.
struct EngineState: ~Copyable {
  var table: BlockTable
  var identities = IdentityTable()
  var fences = FenceLedger()
  var seals = SealLedger()
  var handOuts = HandOutLedger()
  var concluded = ConcludedHandOuts()
  var events: EventLog
  /// What concerns the tier; nil without one.
  var books: TierBooks?
  /// Withdrawals that workers are to be told of.
  var untold: [Withdrawal] = []
  /// Set while the engine drains: nothing begins any more.
  var isDraining = false
  /// Set while `reset` waits: the sealer holds nothing either.
  var isResetting = false
  /// Set from the beginning of `close`: nothing begins ever again, whatever `reset` says.
  var isClosing = false
  /// Set once the pool may be somebody else's.
  var isClosed = false
  /// By slot size class: whether the pool will never give more.
  var isExhausted: [Bool]
  /// Adopted pages whose bytes nobody has checked in this process.
  var unchecked: Set<SlotNumber> = []
  /// Slots of forgotten pages that a lease holds: overwritten when it lets them go.
  var toErase: Set<SlotNumber> = []
  let changes = ChangeBuffer()
  var counters = Counters()

  /// Where the table writes its changes; kept, because a verb must not allocate.
  final class ChangeBuffer {
    let buffer = UnsafeMutableBufferPointer<SlotChange>.allocate(capacity: Limits.rowBatchMax)

    deinit { buffer.deallocate() }
  }

  struct Counters {
    var sealed = 0
    var checked = 0
    var corrupt = 0
    var failedBlocks = 0
    var attachmentsGone = 0
  }

  init(table: consuming BlockTable, slotClassCount: Int, eventCountMax: Int) {
    self.table = table
    events = EventLog(countMax: eventCountMax)
    isExhausted = Array(repeating: false, count: slotClassCount)
  }

  /// Takes slots from the pool until `wanted` are free or it has no more. `limit`: of the class, in all.
  mutating func grow(_ slotClass: SlotClass, wanted: Int, limit: Int, from pool: Pool) {
    let number = Int(slotClass.rawValue)
    while !isExhausted[number], table.slotCount(slotClass, in: .free) < wanted {
      let room = limit - table.capacity(slotClass)
      guard room > 0 else {
        isExhausted[number] = true
        return
      }
      switch pool.cut(number) {
      case .slots(let range): table.addSlots(range.prefix(room), slotClass)
      case .notYet: return
      case .exhausted: isExhausted[number] = true
      }
    }
  }
}
