import RoostPrimitives

/// The slot table as its owner writes it. One thread at a time; reading is free.
extension Pool {
  /// Writes rows. A process killed anywhere in here leaves each row as it was, empty, or new. A row must be cleared
  /// (or rewritten) before anybody writes other bytes into its slot.
  ///
  /// - Precondition: the slots are cut, no state is `empty`, and the identities have been recorded.
  public func write(_ rows: UnsafeBufferPointer<SlotRow>) {
    for row in rows {
      precondition(memory.isKnown(row.slot), "the slot has not been cut")
      table.write(row)
    }
  }

  /// Writes one row.
  public func write(_ row: SlotRow) {
    precondition(memory.isKnown(row.slot), "the slot has not been cut")
    table.write(row)
  }

  /// Marks a slot as being filled: its row has a state and a generation (`SlotReader`) and nothing else until it is
  /// written.
  ///
  /// - Precondition: the slot is cut.
  public func markFilling(_ slot: SlotNumber, generation: UInt32) {
    precondition(memory.isKnown(slot), "the slot has not been cut")
    table.markFilling(slot, generation: generation)
  }

  /// Empties rows.
  ///
  /// - Precondition: the slots are cut.
  public func clear(_ slots: UnsafeBufferPointer<SlotNumber>) {
    for slot in slots { clear(slot) }
  }

  /// Empties one row.
  public func clear(_ slot: SlotNumber) {
    precondition(memory.isKnown(slot), "the slot has not been cut")
    table.clear(slot)
  }

  /// What the table says about a slot; nil if it is empty or damaged.
  ///
  /// - Precondition: the slot is cut.
  public func row(of slot: SlotNumber) -> SlotRow? {
    precondition(memory.isKnown(slot), "the slot has not been cut")
    return table.row(slot)
  }

  /// Records the digest of an identity, so that rows with it mean something to the pool's next owner. To be done once
  /// for each identity, before its first row; again is harmless.
  ///
  /// - Throws: `outOfResources` if the table holds no more identities: rows with this one will not be adopted.
  public func record(_ identity: IdentityID, _ digest: IdentityDigest) throws(RoostError) {
    guard Int(identity.rawValue) < table.layout.identityCountMax else {
      throw RoostError(
        .outOfResources,
        "the pool's table holds \(table.layout.identityCountMax) identities and is full; "
          + "pages of further ones will not outlive this process")
    }
    guard table.digest(identity: Int(identity.rawValue)) != digest else { return }
    table.write(digest, identity: Int(identity.rawValue))
  }

  /// The seal of a slot's bytes as they are now. Nobody may write to the slot meanwhile. Any thread.
  ///
  /// - Precondition: the slot is cut.
  public func seal(of slot: SlotNumber) -> Seal { Seal(over: UnsafeRawBufferPointer(memory.bytes(of: slot))) }

  /// Whether a slot's bytes are those that were sealed. Any thread.
  ///
  /// - Precondition: the slot is cut.
  public func check(_ slot: SlotNumber, _ seal: Seal) -> Bool { self.seal(of: slot) == seal }
}
