import RoostDevice
import RoostPrimitives

/// A group whose members' streams meet in shared memory. An operation waits in its stream's turn for the other members;
/// what breaks the group makes the stream fail, and the others are told.
final class CPUCollective: Collective {
  private let group: ProcessGroup

  init(_ group: ProcessGroup) { self.group = group }

  var rank: Int { group.rank }
  var rankCount: Int { group.rankCount }

  func allReduceSum(address: UInt, count: Int, on stream: any DeviceStream) throws(RoostError) {
    try submit(to: stream) { (group) throws(RoostError) in try group.allReduceSum(address: address, count: count) }
  }

  func allGather(source: UInt, target: UInt, byteCount: Int, on stream: any DeviceStream) throws(RoostError) {
    try submit(to: stream) { (group) throws(RoostError) in
      try group.allGather(source: source, target: target, byteCount: byteCount)
    }
  }

  private func submit(
    to stream: any DeviceStream, _ body: @escaping GroupWork.Body
  ) throws(RoostError) {
    guard let stream = stream as? CPUStream else {
      throw RoostError(.invalidInput, "the stream belongs to another kind of device")
    }
    try stream.submit(GroupWork(group, body))
  }
}

/// An operation of a group in a stream. Lets go of the group when it is done: streams keep operations for a while.
final class GroupWork: Sendable {
  typealias Body = @Sendable (ProcessGroup) throws(RoostError) -> Void
  private let group: Locked<ProcessGroup?>
  private let body: Body

  init(_ group: ProcessGroup, _ body: @escaping Body) {
    self.group = Locked(group)
    self.body = body
  }

  /// Does it. What is wrong with this member's part the others learn too.
  func run() throws(RoostError) {
    guard let group = take() else { return }
    do throws(RoostError) {
      try body(group)
    } catch {
      group.abandon()
      throw error
    }
  }

  /// The stream has failed before: the others need not wait.
  func discard() { take()?.abandon() }

  private func take() -> ProcessGroup? {
    group.withLock { group in
      defer { group = nil }
      return group
    }
  }
}
