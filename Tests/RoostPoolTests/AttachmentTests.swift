import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

@Suite struct AttachmentTests {
  /// Takes events until one fits.
  static func event<Result>(_ pool: Pool, _ fitting: (PoolEvent) -> Result?) throws -> Result {
    let deadline = Scratch.deadline
    while !deadline.hasPassed() {
      for event in pool.events(until: deadline) {
        if let result = fitting(event) { return result }
      }
    }
    throw RoostError(.timedOut, "the event did not come")
  }

  static func joined(_ pool: Pool) throws -> AttachmentID {
    try event(pool) { if case .joined(let id, _) = $0 { id } else { nil } }
  }

  @Test(arguments: [false, true]) func seesTheOwnersPagesAndIsSeen(inDirectory: Bool) throws {
    try Scratch.withDirectory { path in
      let pool = try Pool.open(
        Scratch.configuration(capacity: 8 << 20, slots: [64 << 10], in: inDirectory ? path : nil))
      defer { pool.close() }
      let slots = try Scratch.cutAll(pool)
      for slot in slots { Scratch.fill(pool.memory.bytes(of: slot), seed: UInt64(slot.rawValue)) }
      let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
      #expect(try Self.joined(pool) == worker.id)
      for slot in slots {
        #expect(Scratch.isFilled(worker.memory.bytes(of: slot), seed: UInt64(slot.rawValue)))
        Scratch.fill(worker.memory.bytes(of: slot), seed: ~UInt64(slot.rawValue))
        #expect(Scratch.isFilled(pool.memory.bytes(of: slot), seed: ~UInt64(slot.rawValue)))
      }
      worker.close()
      #expect(try Self.event(pool) { if case .gone(let id) = $0 { id } else { nil } } == worker.id)
    }
  }

  @Test func carriesMessagesBothWaysInOrder() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    let id = try Self.joined(pool)
    for length in [0, 1, 4000, Pool.messageByteCountMax] {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7) }
      try pool.send(bytes, to: id)
      #expect(try worker.receive(until: Scratch.deadline) == bytes)
      try bytes.withUnsafeBytes { try worker.send($0, until: Scratch.deadline) }
      #expect(try Self.event(pool) { $0 } == .message(id, bytes))
    }
    let long = [UInt8](repeating: 0, count: Pool.messageByteCountMax + 1)
    #expect(throws: RoostError.self) { try pool.send(long, to: id) }
    #expect(throws: RoostError.self) { try worker.send(long, until: Scratch.deadline) }
    #expect(try worker.receive(until: .after(seconds: 0.01)) == nil)
  }

  @Test func hearsOfChunksAndCutsBeforeTheMessageThatNamesTheirSlots() throws {
    var configuration = Scratch.configuration(capacity: 16 << 20, slots: [256 << 10, 64 << 10])
    configuration.chunkByteCount = 1 << 20
    let pool = try Pool.open(configuration)
    defer { pool.close() }
    let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    let id = try Self.joined(pool)
    for slotClass in [0, 1, 1, 0] {
      _ = pool.wait(forBytes: 16 << 20, until: Scratch.deadline)
      guard case .slots(let slots) = pool.cut(slotClass) else { throw RoostError(.notFound, "no slots") }
      Scratch.fill(pool.memory.bytes(of: SlotNumber(rawValue: slots.upperBound - 1)), seed: 5)
      try withUnsafeBytes(of: slots.upperBound) { try pool.send($0, to: id) }
      let message = try #require(try worker.receive(until: Scratch.deadline))
      let end = message.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
      let last = SlotNumber(rawValue: end - 1)
      #expect(worker.memory.isKnown(last) && !worker.memory.isKnown(SlotNumber(rawValue: end)))
      #expect(worker.memory.slotClass(of: last) == slotClass)
      #expect(Scratch.isFilled(worker.memory.bytes(of: last), seed: 5))
    }
  }

  @Test func readsRowsThatTheOwnerWrites() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let slot = try #require(try Scratch.cutAll(pool).first)
    let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    #expect(worker.row(of: slot) == nil)
    let row = SlotRow(slot: slot, generation: 7, state: .ready, key: Scratch.key(1), byteCount: 64 << 10)
    pool.write(row)
    #expect(worker.row(of: slot) == row && pool.row(of: slot) == row)
    pool.clear(slot)
    #expect(worker.row(of: slot) == nil)
  }
}

/// Workers in processes of their own.
@Suite struct WorkerTests {
  @Test func aKilledWorkerIsReportedGoneAfterItsMessages() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 4 << 20, slots: [64 << 10]))
    defer { pool.close() }
    _ = try Scratch.cutAll(pool)
    for _ in 0..<5 {
      let child = try Child("work", ["address": pool.address.description])
      try #require(child.line() == "attached")
      let (id, pid) = try AttachmentTests.event(pool) {
        if case .joined(let id, let pid) = $0 { (id, pid) } else { nil }
      }
      #expect(pid == child.pid)
      for number in UInt8(0)..<20 { try pool.send([UInt8(ascii: "e"), number], to: id) }
      try pool.send([UInt8(ascii: "w")], to: id)
      #expect(child.line() == "writing")
      #expect(!pool.events().contains(.gone(id)))
      child.kill()
      _ = try AttachmentTests.event(pool) { $0 == .gone(id) ? 0 : nil }
      let error = #expect(throws: RoostError.self) { try pool.send([1], to: id) }
      #expect(error?.code == .stale)
    }
  }

  @Test func messagesComeInOrderAndBeforeTheEnd() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let child = try Child("work", ["address": pool.address.description])
    let id = try AttachmentTests.joined(pool)
    for number in UInt8(0)..<100 { try pool.send([UInt8(ascii: "e"), number], to: id) }
    try pool.send([UInt8(ascii: "x")], to: id)
    #expect(child.line() == "attached")
    #expect(child.wait() == 0)
    var events: [PoolEvent] = []
    _ = try AttachmentTests.event(pool) { event in
      events.append(event)
      return event == .gone(id) ? 0 : nil
    }
    #expect(events == (0..<100).map { .message(id, [UInt8(ascii: "e"), $0]) } + [.gone(id)])
  }

  @Test func aWorkerThatDetachesIsGoneWhileItsProcessLives() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let child = try Child("work", ["address": pool.address.description])
    let id = try AttachmentTests.joined(pool)
    try pool.send([UInt8(ascii: "d")], to: id)
    _ = try AttachmentTests.event(pool) { $0 == .gone(id) ? 0 : nil }
    #expect(child.line() == "attached")
    #expect(child.line() == "detached")
    child.kill()
    #expect(pool.events(until: .after(seconds: 0.05)).isEmpty)
  }

  @Test func aConnectionThatEndsWithoutGoodbyeIsNotGoneWhileTheProcessMayCopy() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    var socket: Descriptor? = try HostilePeerTests.connect(pool.address)
    _ = HostilePeerTests.send(try #require(socket), try HostilePeerTests.hello().packet)
    let id = try AttachmentTests.joined(pool)
    socket = nil
    #expect(pool.events(until: .after(seconds: 0.1)).isEmpty)
    let error = #expect(throws: RoostError.self) { try pool.send([1], to: id) }
    #expect(error?.code == .stale)
  }

  @Test func aWorkerThatTakesNothingIsReportedBusyAndGetsAllLater() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    let id = try AttachmentTests.joined(pool)
    var sent = 0
    let error = #expect(throws: RoostError.self) {
      while sent < 10_000 {
        try pool.send([UInt8](repeating: UInt8(truncatingIfNeeded: sent), count: 10_000), to: id)
        sent += 1
      }
    }
    #expect(error?.code == .busy && sent > Limits.outgoingCountMax)
    for number in 0..<sent {
      let message = try #require(try worker.receive(until: Scratch.deadline))
      #expect(message.count == 10_000 && message.last == UInt8(truncatingIfNeeded: number))
    }
  }

  @Test func anOwnerThatTakesNoEventsMakesSendersWaitAndLosesNothing() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    var sent = 0
    let error = #expect(throws: RoostError.self) {
      while sent < 100_000 {
        try worker.send([UInt8(truncatingIfNeeded: sent)], until: .after(seconds: 0.05))
        sent += 1
      }
    }
    #expect(error?.code == .timedOut && sent >= Limits.incomingCountMax - 1)
    var next = 0
    while next < sent {
      for case .message(_, let bytes) in pool.events(until: Scratch.deadline) {
        #expect(bytes == [UInt8(truncatingIfNeeded: next)])
        next += 1
      }
    }
  }

  @Test func takesAsManyAttachmentsAsThereAreBitsForThemAndAgainWhenOneIsGone() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    var workers = try (0..<Pool.attachmentCountMax).map { _ in
      try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    }
    #expect(workers.reduce(0) { $0 | $1.id.bit } == UInt64.max >> 2, "the last two bits are the owner's own")
    let error = #expect(throws: RoostError.self) {
      try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    }
    #expect(error?.code == .busy)
    let old = workers.remove(at: 17).id
    _ = try AttachmentTests.event(pool) { $0 == .gone(old) ? 0 : nil }
    let next = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    #expect(next.id.index == old.index && next.id != old)
    #expect(throws: RoostError.self) { try pool.send([1], to: old) }
  }

  @Test func aClosedPoolIsLostToItsWorkers() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    let worker = try PoolAttachment.attach(to: pool.address, until: Scratch.deadline)
    pool.close()
    let error = #expect(throws: RoostError.self) { try worker.receive(until: Scratch.deadline) }
    #expect(error?.code == .lost)
    #expect(pool.events(until: Scratch.deadline).count <= 1)
  }

  @Test func aWorkerCannotMakeTheTableWritable() throws {
    let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10]))
    defer { pool.close() }
    let path = "/proc/self/fd/\(pool.table.file.number)"
    let file = open(path, O_RDWR)
    try #require(file >= 0)
    defer { close(file) }
    #expect(mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED)
    #expect(ftruncate(file, 0) != 0)
  }
}
