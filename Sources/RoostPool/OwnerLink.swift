import CRoostPlatform
import Glibc
import RoostPrimitives

/// A received packet, and the files that came with it. Reused.
struct PacketBuffer: ~Copyable {
  let bytes: UnsafeMutableRawBufferPointer
  var byteCount = 0
  var files: [Descriptor] = []

  init() { bytes = .allocate(byteCount: Wire.packetByteCountMax, alignment: 16) }

  deinit { bytes.deallocate() }

  /// The packet's fields; nil if it is not one of ours. Valid until the next packet.
  var reader: Wire.Reader? { Wire.Reader(UnsafeRawBufferPointer(rebasing: bytes[..<byteCount])) }
}

/// A worker's end of the connection. Calls wait, with a deadline.
struct OwnerLink {
  let socket: Descriptor

  static var nonsense: RoostError { RoostError(.corrupt, "the pool's owner sent something that makes no sense") }
  private static var lost: RoostError {
    RoostError(.lost, "the pool's owner is gone; attach again when it is back")
  }

  /// Sends one packet whole.
  func send(_ packet: [UInt8], until deadline: Deadline) throws(RoostError) {
    while true {
      let result = packet.withUnsafeBytes { roost_message_send(socket.number, $0.baseAddress, $0.count, nil, 0) }
      switch -result {
      case 0: return
      case EAGAIN, ENOBUFS:
        guard try wait(for: POLLOUT, until: deadline) else {
          throw RoostError(.timedOut, "the pool's owner does not take messages")
        }
      case EPIPE, ECONNRESET, ENOTCONN: throw OwnerLink.lost
      default: throw .system("sendmsg", -result, "cannot send to the pool's owner")
      }
    }
  }

  /// Receives one packet; false if none came until the deadline.
  func receive(_ packet: inout PacketBuffer, until deadline: Deadline) throws(RoostError) -> Bool {
    packet.files.removeAll(keepingCapacity: true)
    while true {
      var numbers: [CInt] = [-1, -1, -1, -1]
      var count: CInt = 0
      let length = roost_message_receive(
        socket.number, packet.bytes.baseAddress, packet.bytes.count, &numbers, CInt(numbers.count), &count)
      packet.files = numbers.prefix(Int(count)).map { Descriptor($0) }
      if length > 0 {
        packet.byteCount = length
        return true
      }
      switch -length {
      case 0, Int(ECONNRESET), Int(ENOTCONN): throw OwnerLink.lost
      case Int(EAGAIN): if try !wait(for: POLLIN, until: deadline) { return false }
      case Int(EMSGSIZE): throw OwnerLink.nonsense
      default: throw .system("recvmsg", CInt(-length), "cannot receive from the pool's owner")
      }
    }
  }

  /// Waits until the socket is ready or at its end; false at the deadline.
  private func wait(for event: CInt, until deadline: Deadline) throws(RoostError) -> Bool {
    var entry = pollfd(fd: socket.number, events: Int16(event), revents: 0)
    while true {
      let milliseconds = CInt((min(deadline.secondsLeft(), 3600) * 1000).rounded(.up))
      let result = poll(&entry, 1, milliseconds)
      if result > 0 { return true }
      if result < 0, errno != EINTR { throw .system("poll", errno, "cannot wait for the pool's owner") }
      if deadline.hasPassed() { return false }
    }
  }
}
