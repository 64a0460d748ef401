import CRoostPlatform
import Glibc
import RoostPrimitives
import Synchronization

/// The pool in a process that does not own it: a worker.
///
/// The connection lives as long as this object or until `close`. What the owner tells - chunks, cuts, messages - is
/// taken in by `receive`, in order; so a slot that a message names is known when the message has been received. A
/// thread populates chunks behind. `send`, `row`, `memory` may be used from any thread, `receive` from one at a time.
public final class PoolAttachment: Sendable {
  /// The name by which the owner knows this attachment.
  public let id: AttachmentID
  /// The pool's memory in this process. Keep a reference as long as a copy may run.
  public let memory: SlotMemory

  let table: SlotTable
  private let socket: Descriptor
  /// Locked as long as any process holds it, so that no new owner takes the pool over while copies may run here.
  private let members: Descriptor?
  private let hugePages: Bool
  private let populator: Populator
  private let buffer = Locked(PacketBuffer())
  private let process = getpid()
  private let isClosed = Atomic<Bool>(false)
  private let isLost = Atomic<Bool>(false)

  /// Attaches to a pool that this user owns on this machine.
  ///
  /// Returns when everything that the pool consists of so far is mapped.
  ///
  /// - Throws: `notFound` if no pool is there, `timedOut`, what the owner says where it refuses (another version, 64
  ///   attachments), `lost` if it dies meanwhile, `invalidInput` if the owner is another user's.
  public static func attach(to address: PoolAddress, until deadline: Deadline) throws(RoostError) -> PoolAttachment {
    let socket = try connect(address, until: deadline)
    let hello = Hello(version: Wire.version, tableFormat: UInt32(ROOST_TABLE_FORMAT), boot: try BootToken.current())
    let attachment = try PoolAttachment(handshake: socket, hello, until: deadline)
    try attachment.takeInventory(until: deadline)
    return attachment
  }

  private static func connect(_ address: PoolAddress, until deadline: Deadline) throws(RoostError) -> Descriptor {
    let milliseconds = CInt(min(deadline.secondsLeft(), 3600) * 1000)
    let number = address.withSocketName { roost_socket_connect($0, $1, milliseconds) }
    if number == -ENOENT || number == -ECONNREFUSED {
      throw RoostError(
        .notFound, "there is no pool at \(address), or its owner is gone; start the owner, or check the name")
    }
    guard number >= 0 else {
      throw .system("connect", -number, "cannot attach to the pool", context: [("address", "\(address)")])
    }
    let socket = Descriptor(number)
    var pid: pid_t = 0
    var user: uid_t = 0
    guard roost_socket_peer(number, &pid, &user) == 0, user == geteuid() else {
      throw RoostError(.invalidInput, "what listens at \(address) belongs to user \(user), not to user \(geteuid())")
    }
    return socket
  }

  init(handshake socket: Descriptor, _ hello: Hello, until deadline: Deadline) throws(RoostError) {
    self.socket = socket
    let link = OwnerLink(socket: socket)
    try link.send(hello.packet, until: deadline)
    var packet = PacketBuffer()
    guard try link.receive(&packet, until: deadline) else {
      throw RoostError(.timedOut, "the pool's owner does not answer")
    }
    guard let reader = packet.reader else { throw OwnerLink.nonsense }
    if reader.kind == .refusal { throw Refusal.error(reader) }
    guard let welcome = Welcome(reader), let tableFile = packet.files.first else { throw OwnerLink.nonsense }
    id = welcome.attachment
    hugePages = welcome.hugePages
    members = packet.files.count > 1 ? packet.files[1] : nil
    table = try PoolAttachment.openTable(tableFile, hello.boot)
    memory = try SlotMemory(plan: table.layout.plan)
    populator = try Populator(memory)
  }

  /// Maps the table that the owner passed, after looking at every number in its header.
  private static func openTable(_ file: Descriptor, _ boot: BootToken) throws(RoostError) -> SlotTable {
    let status = try file.status()
    let header = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(ROOST_TABLE_HEADER_BYTES), alignment: 16)
    defer { header.deallocate() }
    guard let start = header.baseAddress, pread(file.number, start, header.count, 0) == header.count else {
      throw OwnerLink.nonsense
    }
    let (layout, identity) = try TableHeader.read(start, fileBytes: Int(status.st_size), boot: boot)
    return try SlotTable(file: file, layout: layout, poolToken: identity.poolToken, isWritable: false)
  }

  deinit { close() }

  /// Detaches: tells the owner that no copy of this process is running any more, which is the caller's promise, and
  /// ends the connection. Further calls do nothing, and neither does a call in a child that `fork` made.
  public func close() {
    guard getpid() == process, !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
    populator.stop()
    // If it does not arrive, the owner waits for the end of this process instead.
    try? OwnerLink(socket: socket).send(
      Wire.Writer(.goodbye).bytes, until: .after(seconds: Limits.handshakeSeconds))
    shutdown(socket.number, CInt(SHUT_RDWR))
  }

  // MARK: Messages

  /// Sends bytes to the owner, in order. Waits for room until the deadline.
  ///
  /// - Throws: `lost` if the owner is gone or closed the pool, `timedOut`, `invalidInput` if there are more than
  ///   `Pool.messageByteCountMax` bytes, `stale` after `close`.
  public func send(_ bytes: UnsafeRawBufferPointer, until deadline: Deadline) throws(RoostError) {
    try checkOpen()
    try OwnerLink(socket: socket).send(Wire.application(bytes), until: deadline)
  }

  /// Sends an array of bytes to the owner: as above.
  public func send(_ bytes: [UInt8], until deadline: Deadline) throws(RoostError) {
    try checkOpen()
    try OwnerLink(socket: socket).send(Wire.application(bytes), until: deadline)
  }

  /// The owner's next message; nil if none came until the deadline. One thread at a time.
  ///
  /// - Throws: `lost` if the owner is gone or closed the pool, `stale` after `close`, `corrupt` if the owner speaks
  ///   nonsense; `outOfResources` if a new chunk cannot be mapped.
  public func receive(until deadline: Deadline) throws(RoostError) -> [UInt8]? {
    try buffer.withLock { packet throws(RoostError) in
      while true {
        try checkOpen()
        guard try link(&packet, until: deadline) else { return nil }
        guard let reader = packet.reader else { throw OwnerLink.nonsense }
        if reader.kind == .application { return Array(reader.rest) }
        if reader.kind != .ready { try takeIn(reader, packet.files) }
      }
    }
  }

  /// Whether the owner has been found gone; `receive` and `send` find out.
  public var isOwnerLost: Bool { isLost.load(ordering: .acquiring) }

  private func link(_ packet: inout PacketBuffer, until deadline: Deadline) throws(RoostError) -> Bool {
    do {
      return try OwnerLink(socket: socket).receive(&packet, until: deadline)
    } catch {
      if error.code == .lost { isLost.store(true, ordering: .releasing) }
      throw error
    }
  }

  private func checkOpen() throws(RoostError) {
    if isClosed.load(ordering: .acquiring) { throw RoostError(.stale, "this process has detached from the pool") }
  }

  /// Takes in what the pool consists of at the time of the attachment.
  private func takeInventory(until deadline: Deadline) throws(RoostError) {
    try buffer.withLock { packet throws(RoostError) in
      while true {
        guard try link(&packet, until: deadline) else {
          throw RoostError(.timedOut, "the pool's owner does not go on telling about its memory")
        }
        guard let reader = packet.reader else { throw OwnerLink.nonsense }
        if reader.kind == .ready { return }
        try takeIn(reader, packet.files)
      }
    }
  }

  private func takeIn(_ reader: Wire.Reader, _ files: [Descriptor]) throws(RoostError) {
    switch reader.kind {
    case .chunk:
      guard let (chunk, byteCount) = Announcement.chunk(reader, memory.plan), let file = files.first,
        memory.byteCount(ofChunk: chunk) == 0, Int(try file.status().st_size) >= byteCount
      else { throw OwnerLink.nonsense }
      try memory.map(chunk: chunk, file: file, byteCount: byteCount, hugePages: hugePages)
      memory.publish(chunk: chunk, byteCount: byteCount, isPopulated: false)
      populator.wake()
    case .cut:
      guard let piece = Announcement.cut(reader, memory.plan),
        piece.slots.count <= memory.plan.slotCount(of: piece.slotClass, in: memory.byteCount(ofChunk: piece.chunk))
      else { throw OwnerLink.nonsense }
      memory.assign(piece)
    case .goodbye:
      isLost.store(true, ordering: .releasing)
      throw RoostError(.lost, "the pool's owner closed it")
    default: throw OwnerLink.nonsense
    }
  }

  // MARK: The table

  /// What the table says about a slot now; nil if it is empty, being written, unknown here, or damaged.
  public func row(of slot: SlotNumber) -> SlotRow? { memory.isKnown(slot) ? table.row(slot) : nil }
}
