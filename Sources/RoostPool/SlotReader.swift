import RoostPrimitives

/// Reads the states of many slots: what a pool or an attachment knows, without a call through either for each slot.
/// Thread-safe. Keeps the memory mapped.
public struct SlotReader: Sendable {
  /// The pool's memory in this process.
  public let memory: SlotMemory
  private let table: SlotTable

  init(_ memory: SlotMemory, _ table: SlotTable) {
    self.memory = memory
    self.table = table
  }

  /// State, generation and size of a slot: one load, without the row's check, for those who only ask whether it still
  /// means what it meant. Nil if the slot is not known in this process, or its row is damaged.
  public func standing(of slot: SlotNumber) -> SlotStanding? { table.standing(of: slot, in: memory) }
}

extension Pool {
  /// Reads the states of many slots.
  public var reader: SlotReader { SlotReader(memory, table) }
}

extension PoolAttachment {
  /// Reads the states of many slots.
  public var reader: SlotReader { SlotReader(memory, table) }
}
