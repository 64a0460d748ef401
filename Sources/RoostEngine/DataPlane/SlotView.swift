import RoostPool
import RoostPrimitives

/// The pool's memory and slot table as a data plane needs them: in the owner's process or in an attached one.
public protocol SlotView: Sendable {
  /// The pool's memory in this process.
  var memory: SlotMemory { get }
  /// What the slot table says about a slot that is known here; nil if it is empty, being written, or damaged.
  func row(of slot: SlotNumber) -> SlotRow?
  /// The state and generation alone, without the row's check: for hot paths that only ask whether a slot still means
  /// what it meant. Nil for a slot that is not known here.
  func standing(of slot: SlotNumber) -> SlotStanding?
}

extension Pool: SlotView {}
extension PoolAttachment: SlotView {}
