import CRoostPlatform
import Glibc
import RoostPrimitives
import Synchronization

/// The shared memory of a group: a page of records, one a member, and two slots a member for its bytes, used in turn.
///
/// The file's bytes from 0 on are membership, one a rank; the byte after the last possible one is the gate, which whoever
/// joins or leaves passes alone. The first through the gate where nobody is a member makes the segment anew, whatever the
/// dead left in it.
final class GroupSegment: @unchecked Sendable {
  // Written in the initialiser, and `parity` by the one caller at a time.
  private let rank: Int
  private let rankCount: Int
  private let path: String
  private let descriptor: CInt
  private let memory: UnsafeMutableRawPointer
  private let byteCount: Int
  private var parity = 0

  enum Kind: UInt64 { case reduce = 1, gather = 2 }
  /// Where a member is: nowhere yet, in, gone as it should, or gone because something failed.
  enum Presence: UInt64 { case absent = 0, present, left, broken }

  /// A member's record.
  struct Record: ~Copyable {
    let arrived = Atomic<UInt64>(0)
    let taken = Atomic<UInt64>(0)
    let presence = Atomic<UInt64>(0)
    /// What the member does in a step, even or odd: a kind and a size.
    let evenKind = Atomic<UInt64>(0)
    let evenSize = Atomic<UInt64>(0)
    let oddKind = Atomic<UInt64>(0)
    let oddSize = Atomic<UInt64>(0)
  }

  private static let magic: UInt64 = 0x726f_6f73_7467_7031
  private static let recordBytes = 128
  private static let gate = Int64(Limits.rankCountMax)
  private static func byteCount(of rankCount: Int) -> Int {
    headerBytes + rankCount * 2 * Limits.slotByteCount
  }
  private static let headerBytes = 4096 + Limits.rankCountMax * recordBytes

  init(rank: Int, rankCount: Int, rendezvous: String, until deadline: Deadline) throws(RoostError) {
    self.rank = rank
    self.rankCount = rankCount
    byteCount = Self.byteCount(of: rankCount)
    path = Self.path(of: rendezvous)
    while true {
      let descriptor = try Self.open(path)
      do throws(RoostError) {
        if try Self.passGate(path, descriptor, until: deadline) {
          defer { roost_byte_unlock(descriptor, Self.gate) }
          if let memory = try Self.enter(descriptor, rank: rank, rankCount: rankCount, deadline) {
            self.descriptor = descriptor
            self.memory = memory
            return
          }
        }
      } catch {
        close(descriptor)
        throw error
      }
      close(descriptor)
      HostThread.sleep(seconds: Limits.groupPauseSeconds)
    }
  }

  /// Says that this member leaves; the last one takes the file along.
  func leave() {
    if presence(of: rank) == .present {
      record(rank).pointee.presence.store(Presence.left.rawValue, ordering: .releasing)
    }
    roost_byte_unlock(descriptor, Int64(rank))
    // Somebody who holds the gate for longer will find the file unused when the next one comes.
    if (try? Self.passGate(path, descriptor, until: .after(seconds: 1))) == true {
      if !Self.hasMembers(descriptor) { unlink(path) }
      roost_byte_unlock(descriptor, Self.gate)
    }
    munmap(memory, byteCount)
    close(descriptor)
  }

  // MARK: - Joining

  /// A name that is no longer than a file's may be, and says nothing about the group's.
  private static func path(of rendezvous: String) -> String {
    let digest = Array(rendezvous.utf8).withUnsafeBytes { SHA256.digest(of: $0) }
    return "/dev/shm/roost-group-\(getuid())-\(String(digest.0, radix: 16))\(String(digest.1, radix: 16))"
  }

  private static func open(_ path: String) throws(RoostError) -> CInt {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      throw .system("open", errno, "cannot open a group's shared memory", context: [("path", path)])
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_uid == getuid(), status.st_mode & 0o077 == 0 else {
      close(descriptor)
      throw RoostError(.invalidInput, "a group's shared memory is somebody else's", context: [("path", path)])
    }
    return descriptor
  }

  /// False: the file was deleted meanwhile, and there is another one, or none.
  private static func passGate(_ path: String, _ descriptor: CInt, until deadline: Deadline) throws(RoostError) -> Bool
  {
    while true {
      let result = roost_byte_lock(descriptor, gate)
      if result == 0 { break }
      guard result == -EAGAIN else { throw .system("fcntl", -result, "cannot lock a group's shared memory") }
      if deadline.hasPassed() { throw RoostError(.timedOut, "a group's shared memory was locked until the deadline") }
      HostThread.sleep(seconds: Limits.groupPauseSeconds)
    }
    var (mine, present) = (stat(), stat())
    let isSame =
      fstat(descriptor, &mine) == 0 && stat(path, &present) == 0 && mine.st_ino == present.st_ino
      && mine.st_dev == present.st_dev
    if !isSame { roost_byte_unlock(descriptor, gate) }
    return isSame
  }

  private static func hasMembers(_ descriptor: CInt) -> Bool {
    (0..<gate).contains { roost_byte_is_locked(descriptor, $0) != 0 }
  }

  /// Maps the segment, made anew if nobody is in it. The gate is passed. Nil: this rank was in it and has left, and must
  /// wait until the others have too.
  private static func enter(
    _ descriptor: CInt, rank: Int, rankCount: Int, _ deadline: Deadline
  ) throws(RoostError) -> UnsafeMutableRawPointer? {
    let byteCount = byteCount(of: rankCount)
    let isNew = !hasMembers(descriptor)
    if isNew {
      let result = ftruncate(descriptor, 0) == 0 ? roost_file_allocate(descriptor, 0, Int64(byteCount)) : -errno
      guard result == 0 else {
        throw .system("fallocate", -result, "no memory for a group of \(rankCount) in /dev/shm")
      }
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size == byteCount else {
      throw RoostError(.invalidInput, "there is such a group with another number of members than \(rankCount)")
    }
    let taken = roost_byte_lock(descriptor, Int64(rank))
    guard taken == 0 else {
      if taken == -EAGAIN { throw RoostError(.busy, "somebody has the rank \(rank) of this group") }
      throw .system("fcntl", -taken, "cannot lock a group's shared memory")
    }
    guard let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED
    else { throw .system("mmap", errno, "cannot map a group's shared memory") }
    let magic = memory.assumingMemoryBound(to: UInt64.self)
    if isNew { magic.pointee = Self.magic }
    let presence = record(rank, in: memory)
    if magic.pointee == Self.magic, presence.pointee.presence.load(ordering: .acquiring) == Presence.absent.rawValue {
      presence.pointee.presence.store(Presence.present.rawValue, ordering: .releasing)
      return memory
    }
    munmap(memory, byteCount)
    roost_byte_unlock(descriptor, Int64(rank))
    guard !deadline.hasPassed() else {
      throw RoostError(.busy, "a member with the rank \(rank) was in this group; the others have not left it yet")
    }
    return nil
  }

  // MARK: - Steps

  private static func record(_ rank: Int, in memory: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Record> {
    (memory + 4096 + rank * recordBytes).assumingMemoryBound(to: Record.self)
  }

  private func record(_ rank: Int) -> UnsafeMutablePointer<Record> { Self.record(rank, in: memory) }

  private func presence(of rank: Int) -> Presence {
    Presence(rawValue: record(rank).pointee.presence.load(ordering: .acquiring)) ?? .broken
  }

  private func slot(_ rank: Int) -> UnsafeMutableRawPointer {
    memory + Self.headerBytes + (rank * 2 + parity) * Limits.slotByteCount
  }

  func choose(_ step: UInt64) { parity = Int(step % 2) }

  func fill(from source: UnsafeMutableRawPointer, _ count: Int) { memcpy(slot(rank), source, count) }

  func copy(_ rank: Int, to target: UnsafeMutableRawPointer, _ count: Int) { memcpy(target, slot(rank), count) }

  func sum(into target: UnsafeMutablePointer<Float>, _ count: Int) {
    memcpy(target, slot(0), count * 4)
    for rank in 1..<max(1, rankCount) {
      let source = slot(rank).assumingMemoryBound(to: Float.self)
      for index in 0..<count { target[index] += source[index] }
    }
  }

  func arrive(at step: UInt64, _ kind: Kind, byteCount: Int) {
    let own = record(rank)
    if parity == 0 {
      own.pointee.evenKind.store(kind.rawValue, ordering: .relaxed)
      own.pointee.evenSize.store(UInt64(byteCount), ordering: .relaxed)
    } else {
      own.pointee.oddKind.store(kind.rawValue, ordering: .relaxed)
      own.pointee.oddSize.store(UInt64(byteCount), ordering: .relaxed)
    }
    own.pointee.arrived.store(step, ordering: .releasing)
  }

  func take(_ step: UInt64) { record(rank).pointee.taken.store(step, ordering: .releasing) }

  func giveUp() { record(rank).pointee.presence.store(Presence.broken.rawValue, ordering: .releasing) }

  func checkAgreement(on kind: Kind, byteCount: Int) throws(RoostError) {
    for other in 0..<rankCount {
      let theirs = record(other)
      let (theirKind, theirSize) =
        parity == 0
        ? (theirs.pointee.evenKind.load(ordering: .relaxed), theirs.pointee.evenSize.load(ordering: .relaxed))
        : (theirs.pointee.oddKind.load(ordering: .relaxed), theirs.pointee.oddSize.load(ordering: .relaxed))
      guard theirKind == kind.rawValue, theirSize == UInt64(byteCount) else {
        throw RoostError(
          .invalidInput, "rank \(other) does something else than rank \(rank) in this group",
          context: [("its bytes", "\(theirSize)"), ("bytes", "\(byteCount)")])
      }
    }
  }

  /// Waits until something holds for every member: without a pause for a moment, then looking whether it lives.
  func wait(until deadline: Deadline, _ holds: (borrowing Record) -> Bool) throws(RoostError) {
    for other in 0..<rankCount where other != rank {
      let theirs = record(other)
      var turn = 0
      while !holds(theirs.pointee) {
        turn += 1
        if turn < Limits.groupSpinCount {
          sched_yield()
          continue
        }
        let presence = presence(of: other)
        let isGone = presence != .absent && roost_byte_is_locked(descriptor, Int64(other)) == 0
        // It may have done its part and gone then.
        if holds(theirs.pointee) { break }
        if isGone || presence == .broken || presence == .left { throw Self.loss(of: other, presence) }
        if deadline.hasPassed() {
          throw RoostError(
            .timedOut, "rank \(other) \(presence == .absent ? "has not joined" : "did not come") before the deadline")
        }
        HostThread.sleep(seconds: Limits.groupPauseSeconds)
      }
    }
  }

  private static func loss(of rank: Int, _ presence: Presence) -> RoostError {
    switch presence {
    case .left: RoostError(.lost, "rank \(rank) has left the group")
    case .broken: RoostError(.lost, "rank \(rank) failed and has left the group")
    case .absent, .present: RoostError(.lost, "the process of rank \(rank) is gone")
    }
  }
}
