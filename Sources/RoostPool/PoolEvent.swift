/// An attached process, as the owner knows it.
public struct AttachmentID: Hashable, Sendable, CustomStringConvertible {
  /// A small number, below 62, so that attachments fit in a bit mask. Given out again only after the application has
  /// taken the event `gone` of its former holder.
  public let index: UInt32
  /// Tells holders of the same index apart.
  public let epoch: UInt32

  /// Names an attachment.
  init(index: UInt32, epoch: UInt32) {
    self.index = index
    self.epoch = epoch
  }

  /// The attachment's bit in a mask of attachments.
  public var bit: UInt64 { 1 << UInt64(index) }

  /// `attachment 3.7`: index and epoch.
  public var description: String { "attachment \(index).\(epoch)" }
}

/// What the owner hears about its attachments. Events of one attachment come in order: joined, messages, gone.
public enum PoolEvent: Hashable, Sendable {
  /// A process attached; messages may be sent to it. The pid is 0 where it is not visible from here.
  case joined(AttachmentID, pid: Int32)
  /// The attachment sent bytes.
  case message(AttachmentID, [UInt8])
  /// The attachment ended and no copy of its process can be running any more: it detached, or its process is gone.
  case gone(AttachmentID)
}
