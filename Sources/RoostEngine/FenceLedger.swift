import RoostBlocks

/// Counts the jobs that run under each lease in each attachment, because the block table wants to hear of the end of the
/// last one only. A pure state machine.
struct FenceLedger {
  private struct Fence: Hashable {
    var lease: LeaseID
    var attachment: Int
  }

  private var running: [Fence: Int] = [:]

  /// Whether no job runs anywhere.
  var isEmpty: Bool { running.isEmpty }

  /// Whether a job runs under the lease in that attachment.
  func isRunning(_ lease: LeaseID, _ attachment: Int) -> Bool {
    running[Fence(lease: lease, attachment: attachment)] != nil
  }

  /// A job starts.
  mutating func begin(_ lease: LeaseID, _ attachment: Int) {
    running[Fence(lease: lease, attachment: attachment), default: 0] += 1
  }

  /// A job has ended. True: it was the last of the lease in that attachment. A job that never began is ignored.
  mutating func end(_ lease: LeaseID, _ attachment: Int) -> Bool {
    let fence = Fence(lease: lease, attachment: attachment)
    guard let count = running[fence] else { return false }
    running[fence] = count == 1 ? nil : count - 1
    return count == 1
  }

  /// All jobs of an attachment are gone with it.
  mutating func remove(attachment: Int) { running = running.filter { $0.key.attachment != attachment } }
}
