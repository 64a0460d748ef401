import CRoostPlatform
import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

/// Peers that break the rules: the owner goes on serving the others, and a worker gets an error.
@Suite struct HostilePeerTests {
  static func connect(_ address: PoolAddress) throws -> Descriptor {
    let number = address.withSocketName { roost_socket_connect($0, $1, 2000) }
    try #require(number >= 0)
    return Descriptor(number)
  }

  static func send(_ socket: Descriptor, _ bytes: [UInt8], files: [CInt] = []) -> CInt {
    bytes.withUnsafeBytes { roost_message_send(socket.number, $0.baseAddress, $0.count, files, CInt(files.count)) }
  }

  static func hello(version: UInt32 = Wire.version) throws -> Hello {
    Hello(version: version, tableFormat: UInt32(ROOST_TABLE_FORMAT), boot: try BootToken.current())
  }

  static func attachAndGreet(_ pool: Pool) throws {
    let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    _ = try AttachmentTests.event(pool) { $0 == .joined(worker.id, pid: getpid()) ? 0 : nil }
    try pool.send([1, 2, 3], to: worker.id)
    #expect(try worker.receive(until: Scratch.deadline) == [1, 2, 3])
  }

  @Test func randomBytesDoNotDisturbTheOwner() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    Log.level = .error
    for seed in UInt64(0)..<300 {
      var random = SplitMix64(seed: seed)
      let socket = try Self.connect(pool.address)
      // Each of these may stay an attachment until this process ends, and 64 are the limit.
      if seed % 8 == 0 { _ = Self.send(socket, try Self.hello().packet) }
      for _ in 0...(random.next() % 4) {
        var bytes = (0..<(random.next() % 200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        if random.next() % 2 == 0 {
          // A good header, so that the fields are looked at, too.
          let writer = Wire.Writer(Wire.Kind(rawValue: UInt32(1 + random.next() % 8)) ?? .hello)
          bytes = writer.bytes + bytes
        }
        _ = Self.send(socket, bytes, files: random.next() % 4 == 0 ? [0, 1, 2] : [])
      }
    }
    try Self.attachAndGreet(pool)
  }

  @Test func connectionsThatSayNothingDoNotKeepOthersOut() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let silent = try (0..<Limits.handshakeCountMax + 8).map { _ in try Self.connect(pool.address) }
    try Self.attachAndGreet(pool)
    withExtendedLifetime(silent) {}
  }

  @Test func descriptorsThatAWorkerSendsAreNotKept() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    var ends: [CInt] = [0, 0]
    try #require(pipe(&ends) == 0)
    let socket = try Self.connect(pool.address)
    #expect(Self.send(socket, try Self.hello().packet, files: [ends[1]]) == 0)
    _ = try AttachmentTests.joined(pool)
    close(ends[1])
    // The pipe has no writer any more: its end is read, not waited for.
    var byte: UInt8 = 0
    #expect(read(ends[0], &byte, 1) == 0)
    close(ends[0])
  }

  @Test(arguments: [(0, 9), (1, 0)]) func anotherVersionIsOneErrorOnBothSides(wire: UInt32, table: UInt32) throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    var hello = try Self.hello()
    hello.version += wire
    hello.tableFormat += table
    let error = #expect(throws: RoostError.self) {
      try PoolAttachment(handshake: Self.connect(pool.address), hello, until: Scratch.deadline)
    }
    #expect(error?.code == .unsupported && error?.message.contains("install the same Roost") == true)
    try Self.attachAndGreet(pool)
  }

  @Test func anotherBootIsRefused() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    var hello = try Self.hello()
    hello.boot.words.1 ^= 1
    let error = #expect(throws: RoostError.self) {
      try PoolAttachment(handshake: Self.connect(pool.address), hello, until: Scratch.deadline)
    }
    #expect(error?.code == .stale)
  }

  @Test(.enabled(if: geteuid() == 0, "needs to become another user")) func anotherUserIsRefused() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let child = try Child("work", ["user": "65534", "address": pool.address.description])
    #expect(child.line()?.hasPrefix("error invalidInput") == true)
    #expect(child.wait() == 1)
    // The worker refuses by itself. One that does not is refused by the owner.
    let hello = try Self.hello().packet.map { String($0) }.joined(separator: ",")
    let rude = try Child("knock", ["user": "65534", "socket": pool.address.name, "bytes": hello])
    #expect(rude.line() == "answer \(Wire.Kind.refusal.rawValue)")
    #expect(pool.events(until: .after(seconds: 0.05)).isEmpty)
  }

  @Test func anOwnerThatTalksNonsenseIsAnError() throws {
    let welcome = Welcome(attachment: AttachmentID(index: 0, epoch: 0), hugePages: false).packet
    var random = SplitMix64(seed: 7)
    let noise = (0..<100).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let answers: [[[UInt8]]] = [
      [noise], [[1]], [welcome], [Array(welcome.dropLast(2))], [Wire.Writer(.refusal).bytes],
      [Wire.Writer(.refusal).bytes + [255, 255, 255, 255]], [Wire.Writer(.ready).bytes], [[], noise],
    ]
    for (index, packets) in answers.enumerated() {
      let name = Scratch.uniqueName()
      let listener = Descriptor(roost_socket_listen(name, 1, 4))
      try #require(listener.number >= 0)
      let address = try PoolAddress(parsing: "unix:@" + name)
      let thread = Thread {
        var entry = pollfd(fd: listener.number, events: Int16(POLLIN), revents: 0)
        poll(&entry, 1, 5000)
        let socket = Descriptor(roost_socket_accept(listener.number))
        for packet in packets { _ = Self.send(socket, packet, files: packet == welcome ? [listener.number] : []) }
      }
      thread.start()
      #expect(throws: RoostError.self, "answer \(index)") {
        try PoolAttachment.attach(to: address, until: Scratch.deadline)
      }
    }
  }

  @Test func anOwnerThatDoesNotAnswerIsATimeout() throws {
    let name = Scratch.uniqueName()
    let listener = Descriptor(roost_socket_listen(name, 1, 1))
    let address = try PoolAddress(parsing: "unix:@" + name)
    for _ in 0..<4 {
      // The later ones do not even get through the backlog.
      let error = #expect(throws: RoostError.self) {
        try PoolAttachment.attach(to: address, until: .after(seconds: 0.05))
      }
      #expect(error?.code == .timedOut)
    }
    withExtendedLifetime(listener) {}
  }
}
