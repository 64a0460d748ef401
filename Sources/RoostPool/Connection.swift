import CRoostPlatform
import Glibc
import RoostPrimitives

/// The owner's end of one connection. Not thread-safe; `OwnerSocket` holds the lock.
struct Connection {
  enum Phase: Equatable {
    /// It has not said who it is, and has nothing of ours.
    case greeting(Deadline)
    /// It has the pool mapped.
    case attached(AttachmentID)
    /// It was attached and the connection is over, but its process may still be copying: only the process's end, or a
    /// goodbye before, says that it is not.
    case leaving(AttachmentID)
  }

  struct Outgoing {
    var packet: [UInt8]
    var files: [Descriptor]
    var isApplication: Bool
  }

  enum Received {
    case packet(Int)
    case nothing
    case ended
  }

  let socket: Descriptor
  /// Readable when the peer's process is gone; nil where the kernel has no such thing.
  let process: Descriptor?
  let pid: Int32
  var phase: Phase
  /// Why it is refused whatever it says; nil if nothing is against it yet.
  var objection: RoostError?
  private var outgoing: [Outgoing] = []
  private var head = 0
  private var applicationCount = 0

  init(socket: Descriptor, process: Descriptor?, pid: Int32, phase: Phase) {
    self.socket = socket
    self.process = process
    self.pid = pid
    self.phase = phase
  }

  /// Whether packets wait for room.
  var isSending: Bool { head < outgoing.count }

  /// Whether the application may send one more.
  var hasRoom: Bool { applicationCount < Limits.outgoingCountMax }

  /// Sends now if nothing waits and there is room, else later in order. Returns false if the connection is over.
  mutating func send(_ item: Outgoing) -> Bool {
    outgoing.append(item)
    if item.isApplication { applicationCount += 1 }
    return flush()
  }

  /// Sends what there is room for. Returns false if the connection is over.
  mutating func flush() -> Bool {
    while head < outgoing.count {
      let item = outgoing[head]
      let numbers = item.files.map(\.number)
      let result = item.packet.withUnsafeBytes { bytes in
        roost_message_send(socket.number, bytes.baseAddress, bytes.count, numbers, CInt(numbers.count))
      }
      // Too many descriptors on their way is a full queue, too.
      if result == -EAGAIN || result == -ETOOMANYREFS || result == -ENOBUFS { break }
      guard result == 0 else { return false }
      if item.isApplication { applicationCount -= 1 }
      head += 1
    }
    if head == outgoing.count {
      outgoing.removeAll(keepingCapacity: true)
      head = 0
    } else if head > Limits.outgoingCountMax {
      outgoing.removeFirst(head)
      head = 0
    }
    return true
  }

  /// Receives one packet into `buffer`, without waiting.
  func receive(into buffer: UnsafeMutableRawBufferPointer) -> Received {
    var count: CInt = 0
    let length = roost_message_receive(socket.number, buffer.baseAddress, buffer.count, nil, 0, &count)
    if length == -Int(EAGAIN) { return .nothing }
    return length > 0 ? .packet(length) : .ended
  }
}
