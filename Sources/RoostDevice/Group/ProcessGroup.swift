import CRoostPlatform
import Glibc
import RoostPrimitives
import Synchronization

/// Members in one or several processes of this host that reduce and gather over shared memory. What the CPU's collectives
/// are made of, and how members of an accelerator's find each other.
///
/// Life cycle: 1. Every member joins under the same name, in any order; joining does not wait for the others. 2. Members
/// call the same operations in the same order; each waits for all. 3. A member that ends, is killed, fails or calls
/// something else breaks the group: the others get an error that names it, at once or within the group's deadline, and
/// never hang. 4. When the last member has left, the name is free.
///
/// Membership is a lock on a byte of the segment's file, which the system takes away with the process. Calls wait, and are
/// made one at a time; thread-safe.
public final class ProcessGroup: Sendable {
  /// This member's number.
  public let rank: Int
  /// How many members there are.
  public let rankCount: Int
  let segment: GroupSegment
  let seconds: Double
  let state = Locked(State())

  struct State {
    /// The step that was made last; every operation is one or more.
    var step: UInt64 = 0
    var failure: RoostError?
  }

  /// Joins.
  ///
  /// - Parameters:
  ///   - rank: 0 up to `rankCount`, each once.
  ///   - rendezvous: The name that the members agree on, one for each group. Any text; only the same user finds it.
  ///   - seconds: How long any wait for the others may take.
  /// - Throws: `invalidInput` for impossible numbers, or if there is such a group with another number of members; `busy` if
  ///   somebody has this rank.
  public init(rank: Int, rankCount: Int, rendezvous: String, seconds: Double) throws(RoostError) {
    guard (1...Limits.rankCountMax).contains(rankCount), (0..<rankCount).contains(rank), !rendezvous.isEmpty else {
      throw RoostError(
        .invalidInput, "a group has a name, up to \(Limits.rankCountMax) members, and ranks from 0 on",
        context: [("rank", "\(rank)"), ("members", "\(rankCount)"), ("name", rendezvous)])
    }
    self.rank = rank
    self.rankCount = rankCount
    self.seconds = seconds
    segment = try GroupSegment(
      rank: rank, rankCount: rankCount, rendezvous: rendezvous, until: .after(seconds: seconds))
  }

  deinit { segment.leave() }

  /// Sums `count` 32-bit floats at `address` over all members, in the order of ranks; all get the sums.
  public func allReduceSum(address: UInt, count: Int) throws(RoostError) {
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: 4)
    guard count >= 0, !overflow else { throw RoostError(.invalidInput, "cannot reduce \(count) numbers") }
    let memory = try memory(address, byteCount)
    guard address % 4 == 0 else { throw RoostError(.invalidInput, "numbers to reduce lie at multiples of 4") }
    try steps(.reduce, byteCount: byteCount) { half, offset, count in
      let own = memory + offset
      if half == .fill { return segment.fill(from: own, count) }
      segment.sum(into: own.assumingMemoryBound(to: Float.self), count / 4)
    }
  }

  /// Gathers `byteCount` bytes of every member, in the order of ranks, into `target`.
  public func allGather(source: UInt, target: UInt, byteCount: Int) throws(RoostError) {
    guard byteCount >= 0 else { throw RoostError(.invalidInput, "cannot gather \(byteCount) bytes") }
    let (total, overflow) = byteCount.multipliedReportingOverflow(by: rankCount)
    guard !overflow else { throw RoostError(.invalidInput, "cannot gather \(byteCount) bytes") }
    let (source, target) = (try memory(source, byteCount), try memory(target, total))
    try steps(.gather, byteCount: byteCount) { half, offset, count in
      if half == .fill { return segment.fill(from: source + offset, count) }
      for rank in 0..<rankCount { segment.copy(rank, to: target + rank * byteCount + offset, count) }
    }
  }

  /// Breaks the group: the others need not wait for this member.
  public func abandon() {
    state.withLock { state in
      if state.failure == nil { state.failure = RoostError(.lost, "this member has left its group") }
    }
    segment.giveUp()
  }

  /// Memory that can be some.
  private func memory(_ address: UInt, _ byteCount: Int) throws(RoostError) -> UnsafeMutableRawPointer {
    let piece = CopyPiece(source: address, target: address, byteCount: UInt(byteCount))
    guard CopyCheck.isValid(piece), let memory = pointer(max(address, 1)) else {
      throw CopyCheck.error(of: piece, index: 0)
    }
    return memory
  }

  private enum Half { case fill, take }

  /// Does an operation in steps of what a member's slot holds.
  private func steps(
    _ kind: GroupSegment.Kind, byteCount: Int,
    _ body: (_ half: Half, _ offset: Int, _ count: Int) -> Void
  ) throws(RoostError) {
    try state.withLock { state throws(RoostError) in
      if let failure = state.failure { throw failure }
      do throws(RoostError) {
        var offset = 0
        repeat {
          let count = min(Limits.slotByteCount, byteCount - offset)
          state.step += 1
          segment.choose(state.step)
          let deadline = Deadline.after(seconds: seconds)
          // A slot is used again after two steps: by then all must have taken what was in it.
          let step = state.step
          try segment.wait(until: deadline) { $0.taken.load(ordering: .acquiring) + 2 >= step }
          body(.fill, offset, count)
          segment.arrive(at: state.step, kind, byteCount: byteCount)
          try segment.wait(until: deadline) { $0.arrived.load(ordering: .acquiring) >= step }
          try segment.checkAgreement(on: kind, byteCount: byteCount)
          body(.take, offset, count)
          segment.take(state.step)
          offset += count
        } while offset < byteCount
      } catch {
        state.failure = error
        segment.giveUp()
        throw error
      }
    }
  }
}
