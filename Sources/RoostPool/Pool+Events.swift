import RoostPrimitives

/// Attached processes, as the owner hears of them and speaks to them. Thread-safe.
extension Pool {
  /// The longest message, in bytes, either way.
  public static let messageByteCountMax = Limits.messageByteCountMax

  /// The most attachments at a time.
  public static let attachmentCountMax = Limits.attachmentCountMax

  /// Takes all events that have come; does not wait.
  public func events() -> [PoolEvent] { socket?.takeEvents(until: nil) ?? [] }

  /// Takes all events; waits for one until the deadline, or until the pool is closed.
  public func events(until deadline: Deadline) -> [PoolEvent] { socket?.takeEvents(until: deadline) ?? [] }

  /// Waits until there is an event to take, until the deadline, or until the pool is closed. Takes nothing, so several
  /// threads may wait.
  public func waitForEvent(until deadline: Deadline) { socket?.events.wait(until: deadline) }

  /// Sends bytes to an attachment, which gets them after everything that it was told before. Does not wait.
  ///
  /// - Throws: `stale` if the attachment is gone, `busy` if it has not taken the last 256, `invalidInput` if there are
  ///   more than `messageByteCountMax` bytes, `unsupported` if the pool accepts no attachments.
  public func send(_ bytes: UnsafeRawBufferPointer, to attachment: AttachmentID) throws(RoostError) {
    try send(packet: Wire.application(bytes), to: attachment)
  }

  /// Sends an array of bytes to an attachment: as above.
  public func send(_ bytes: [UInt8], to attachment: AttachmentID) throws(RoostError) {
    try send(packet: Wire.application(bytes), to: attachment)
  }

  private func send(packet: [UInt8], to attachment: AttachmentID) throws(RoostError) {
    guard let socket else { throw RoostError(.unsupported, "the pool '\(configuration.name)' accepts no attachments") }
    try socket.send(packet: packet, to: attachment)
  }
}
