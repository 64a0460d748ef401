import RoostPool
import RoostPrimitives

/// The pool's memory and slot table as a data plane needs them: in the owner's process or in an attached one.
public protocol SlotView: Sendable {
  /// The pool's memory in this process.
  var memory: SlotMemory { get }
  /// What the slot table says about a slot that is known here; nil if it is empty, being written, or damaged.
  func row(of slot: SlotNumber) -> SlotRow?
  /// What hot paths read slots with, taken once for many.
  var reader: SlotReader { get }
}

extension Pool: SlotView {}
extension PoolAttachment: SlotView {}
