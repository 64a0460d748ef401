import CRoostPlatform
import Glibc
import RoostPrimitives
import Synchronization

/// The owner's side of the pool's socket, served by one thread: takes workers in, tells them about the memory, passes
/// messages on, and notices when their processes are gone. Thread-safe.
final class OwnerSocket: Sendable {
  /// What newcomers are given, and must agree with.
  struct Offer: Sendable {
    var boot: BootToken
    /// Read-only.
    var table: Descriptor
    var hugePages: Bool
    /// Has the file that a worker keeps locked as long as it lives; nil for pools that nobody can adopt.
    var directory: PoolDirectory?
  }

  struct State {
    var connections: [Connection] = []
    var announcements: [Announcement] = []
    var usedIndexes: UInt64 = 0
    var epoch: UInt32 = 0
    var acceptsAfter = Deadline(nanoseconds: 0)
  }

  let events = EventQueue()
  let offer: Offer
  private let listener: Locked<Descriptor?>
  private let wake: Descriptor
  private let state = Locked(State())
  private let isStopped = Atomic<Bool>(false)
  private let thread = Locked<HostThread?>(nil)

  init(listener: Descriptor, offer: Offer) throws(RoostError) {
    self.listener = Locked(listener)
    self.offer = offer
    let number = roost_wake_descriptor()
    wake = Descriptor(try Descriptor.check(number, "eventfd", "cannot make a descriptor for the pool's thread"))
  }

  // MARK: Any thread

  /// Starts serving.
  func start() throws(RoostError) {
    let started = try HostThread.start("roost-pool") { self.run() }
    thread.withLock { $0 = started }
  }

  /// Stops serving, says goodbye to everybody, and wakes who waits for events.
  func stop() {
    isStopped.store(true, ordering: .releasing)
    wakeThread()
    thread.withLock { $0.take() }?.join()
    state.withLock { state in
      for index in state.connections.indices {
        let goodbye = Connection.Outgoing(packet: Wire.Writer(.goodbye).bytes, files: [], isApplication: false)
        _ = state.connections[index].send(goodbye)
      }
      state.connections.removeAll()
    }
    // Only now may another owner take the name.
    listener.withLock { $0 = nil }
    events.close()
  }

  /// Tells every attachment, now and to come.
  func announce(_ announcement: Announcement) {
    let isWaiting = state.withLock { state in
      state.announcements.append(announcement)
      let item = OwnerSocket.outgoing(announcement)
      var isWaiting = false
      for index in state.connections.indices {
        guard case .attached = state.connections[index].phase else { continue }
        // A connection that is over is found so by the thread.
        if !state.connections[index].send(item) || state.connections[index].isSending { isWaiting = true }
      }
      return isWaiting
    }
    if isWaiting { wakeThread() }
  }

  /// Sends a packet of the application to one attachment.
  ///
  /// - Throws: `stale` if the attachment is gone, `busy` if it does not keep up.
  func send(packet: [UInt8], to id: AttachmentID) throws(RoostError) {
    let item = Connection.Outgoing(packet: packet, files: [], isApplication: true)
    let isWaiting = try state.withLock { state throws(RoostError) -> Bool in
      guard let index = state.connections.firstIndex(where: { $0.phase == .attached(id) }) else {
        throw RoostError(.stale, "\(id) is gone")
      }
      guard state.connections[index].hasRoom else {
        throw RoostError(.busy, "\(id) does not take its messages; \(Limits.outgoingCountMax) are waiting")
      }
      return !state.connections[index].send(item) || state.connections[index].isSending
    }
    if isWaiting { wakeThread() }
  }

  /// Takes events; the indexes of attachments whose end is among them may be given out again.
  func takeEvents(until deadline: Deadline?) -> [PoolEvent] {
    let taken = deadline.map { events.take(until: $0) } ?? events.take()
    let wasFull = taken.count >= Limits.incomingCountMax
    let ended = taken.reduce(UInt64(0)) { mask, event in
      if case .gone(let id) = event { return mask | id.bit }
      return mask
    }
    if ended != 0 { state.withLock { $0.usedIndexes &= ~ended } }
    if wasFull { wakeThread() }
    return taken
  }

  private func wakeThread() {
    var one: UInt64 = 1
    // A full counter is a wake-up, too.
    _ = write(wake.number, &one, 8)
  }

  private static func outgoing(_ announcement: Announcement) -> Connection.Outgoing {
    Connection.Outgoing(
      packet: announcement.packet, files: announcement.file.map { [$0] } ?? [], isApplication: false)
  }

  // MARK: The thread

  private func run() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Wire.packetByteCountMax, alignment: 16)
    defer { buffer.deallocate() }
    while !isStopped.load(ordering: .acquiring) {
      var watched = state.withLock { watchList($0) }
      _ = poll(&watched, nfds_t(watched.count), Limits.serveSleepMilliseconds)
      var count: UInt64 = 0
      _ = read(wake.number, &count, 8)
      state.withLock { state in
        serve(&state, watched, buffer)
        if watched[1].revents != 0 { accept(&state) }
      }
    }
  }

  /// The wake-up, the listener, then two entries a connection: socket and process. poll(2) skips negative descriptors.
  private func watchList(_ state: State) -> [pollfd] {
    let greeting = state.connections.count { connection in
      if case .greeting = connection.phase { true } else { false }
    }
    let accepts = greeting < Limits.handshakeCountMax && state.acceptsAfter.hasPassed()
    var list = [
      pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0),
      pollfd(fd: accepts ? listenerNumber : -1, events: Int16(POLLIN), revents: 0),
    ]
    let isFull = events.isFull
    for connection in state.connections {
      var wanted = isFull ? 0 : Int16(POLLIN)
      if connection.isSending { wanted |= Int16(POLLOUT) }
      var number = connection.socket.number
      if case .leaving = connection.phase { number = -1 }
      // A hang-up is reported even to those who ask for nothing.
      if wanted == 0 { number = -1 }
      list.append(pollfd(fd: number, events: wanted, revents: 0))
      // The end of a process is news like any other: it waits until there is room for what was said before.
      list.append(pollfd(fd: isFull ? -1 : connection.process?.number ?? -1, events: Int16(POLLIN), revents: 0))
    }
    return list
  }

  /// Serves every connection in `watched`; those that end are removed.
  private func serve(_ state: inout State, _ watched: [pollfd], _ buffer: UnsafeMutableRawBufferPointer) {
    var kept: [Connection] = []
    // Nobody but this thread adds or removes connections, so the list is the one that was watched.
    for index in state.connections.indices {
      let socketEvents = watched[2 + 2 * index].revents
      let isProcessGone = watched[3 + 2 * index].revents != 0
      var connection = state.connections[index]
      var isOpen = true
      var reading = Reading.all
      if socketEvents & Int16(POLLOUT) != 0 { isOpen = connection.flush() }
      if socketEvents & Int16(POLLIN | POLLHUP | POLLERR) != 0 || isProcessGone || !isOpen {
        reading = receive(&connection, &state, buffer)
      }
      isOpen = isOpen && reading != .over
      // What a worker said before its end comes before its end.
      let isLast = reading != .some
      if remains(&connection, isOpen: isOpen || !isLast, isProcessGone: isProcessGone && isLast) {
        kept.append(connection)
      }
    }
    state.connections = kept
  }

  /// Decides whether a connection stays in the list, and reports its end.
  private func remains(_ connection: inout Connection, isOpen: Bool, isProcessGone: Bool) -> Bool {
    switch connection.phase {
    case .greeting(let deadline):
      return isOpen && !isProcessGone && !deadline.hasPassed()
    case .attached(let id), .leaving(let id):
      let isOver = isProcessGone || (!isOpen && connection.process == nil)
      if isOver {
        events.append(.gone(id))
        return false
      }
      if !isOpen { connection.phase = .leaving(id) }
      return true
    }
  }

  /// How much of what a connection had to say was read.
  private enum Reading {
    /// Everything that is there now.
    case all
    /// As much as is read in one turn, or as there is room for.
    case some
    /// The connection is over, or broke the rules.
    case over
  }

  /// Reads what is there. A goodbye turns the connection into one without a process to wait for.
  private func receive(
    _ connection: inout Connection, _ state: inout State, _ buffer: UnsafeMutableRawBufferPointer
  ) -> Reading {
    if case .leaving = connection.phase { return .over }
    // Bounded: a worker that sends without end must not keep the lock, and with it everybody else, for ever.
    for _ in 0..<Limits.packetsPerTurnMax where !events.isFull {
      switch connection.receive(into: buffer) {
      case .nothing: return .all
      case .ended: return .over
      case .packet(let length):
        guard let reader = Wire.Reader(UnsafeRawBufferPointer(rebasing: buffer[..<length])) else { return .over }
        switch (connection.phase, reader.kind) {
        case (.greeting, .hello):
          guard greet(&connection, &state, reader) else { return .over }
        case (.attached(let id), .application):
          events.append(.message(id, Array(reader.rest)))
        case (.attached, .goodbye):
          connection = Connection(
            socket: connection.socket, process: nil, pid: connection.pid, phase: connection.phase)
          return .over
        default: return .over
        }
      }
    }
    return .some
  }

  private var listenerNumber: CInt { listener.withLock { $0?.number ?? -1 } }

  private func accept(_ state: inout State) {
    let number = roost_socket_accept(listenerNumber)
    guard number >= 0 else {
      // Out of descriptors, most likely: without a pause this would be a busy loop.
      if number != -EAGAIN { state.acceptsAfter = .after(seconds: 0.1) }
      return
    }
    let socket = Descriptor(number)
    var pid: pid_t = 0
    var user: uid_t = 0
    guard roost_socket_peer(number, &pid, &user) == 0 else { return }
    let process = roost_socket_peer_process(number)
    var connection = Connection(
      socket: socket, process: process >= 0 ? Descriptor(process) : nil, pid: pid,
      phase: .greeting(.after(seconds: Limits.handshakeSeconds)))
    if user != geteuid() {
      // Said when its hello has been read: closing a socket with something unread in it takes the answer back.
      connection.objection = RoostError(
        .invalidInput, "the pool belongs to user \(geteuid()), not to user \(user)")
    }
    state.connections.append(connection)
  }

  // MARK: Newcomers

  /// Answers a hello. Returns false if the connection is to be closed.
  private func greet(_ connection: inout Connection, _ state: inout State, _ reader: Wire.Reader) -> Bool {
    guard let hello = Hello(reader) else { return false }
    do throws(RoostError) {
      if let objection = connection.objection { throw objection }
      try check(hello)
      guard (~state.usedIndexes).trailingZeroBitCount < Limits.attachmentCountMax else {
        throw RoostError(.busy, "\(Limits.attachmentCountMax) processes are attached to the pool, which is the limit")
      }
      var files = [offer.table]
      if let directory = offer.directory {
        let members = try directory.members()
        let result = roost_file_lock(members.number, 0)
        guard result == 0 else { throw .system("flock", -result, "cannot lock the pool's member file") }
        files.append(members)
      }
      let id = AttachmentID(index: UInt32((~state.usedIndexes).trailingZeroBitCount), epoch: state.epoch)
      let welcome = Welcome(attachment: id, hugePages: offer.hugePages).packet
      guard connection.send(Connection.Outgoing(packet: welcome, files: files, isApplication: false)) else {
        return false
      }
      state.usedIndexes |= id.bit
      state.epoch &+= 1
      connection.phase = .attached(id)
      events.append(.joined(id, pid: connection.pid))
    } catch {
      refuse(&connection, error)
      return false
    }
    let ready = Connection.Outgoing(packet: Wire.Writer(.ready).bytes, files: [], isApplication: false)
    return state.announcements.allSatisfy { connection.send(OwnerSocket.outgoing($0)) } && connection.send(ready)
  }

  private func check(_ hello: Hello) throws(RoostError) {
    guard hello.version == Wire.version, hello.tableFormat == UInt32(ROOST_TABLE_FORMAT) else {
      throw RoostError(
        .unsupported,
        "the worker's Roost speaks version \(hello.version).\(hello.tableFormat), the pool's owner "
          + "\(Wire.version).\(ROOST_TABLE_FORMAT); install the same Roost for both")
    }
    guard hello.boot == offer.boot else {
      throw RoostError(.stale, "the worker and the pool's owner do not run on the same boot of the same machine")
    }
  }

  private func refuse(_ connection: inout Connection, _ error: RoostError) {
    let item = Connection.Outgoing(packet: Refusal.packet(error), files: [], isApplication: false)
    _ = connection.send(item)
    Log.write(.warning, "a process (pid \(connection.pid)) may not attach to the pool: \(error)")
  }
}
