import RoostBlocks

/// Counts the jobs that run under each lease in each attachment, because the block table wants to hear of the end of the
/// last one only. A pure state machine.
///
/// A plain array: a serving engine has some hundred jobs in flight at most, and the one that ends is mostly among the
/// oldest, so a search costs less than a hash.
struct FenceLedger {
  private struct Fence {
    var lease: LeaseID
    var attachment: Int
    var count: Int
  }

  private var running: [Fence] = []

  /// Whether jobs run in an attachment.
  func hasJobs(in attachment: Int) -> Bool { running.contains { $0.attachment == attachment } }

  /// A job starts.
  mutating func begin(_ lease: LeaseID, _ attachment: Int) {
    if let index = index(of: lease, attachment) {
      running[index].count += 1
    } else {
      running.append(Fence(lease: lease, attachment: attachment, count: 1))
    }
  }

  /// A job has ended. True: it was the last of the lease in that attachment. A job that never began is ignored.
  mutating func end(_ lease: LeaseID, _ attachment: Int) -> Bool {
    guard let index = index(of: lease, attachment) else { return false }
    running[index].count -= 1
    guard running[index].count == 0 else { return false }
    running.swapAt(index, running.count - 1)
    running.removeLast()
    return true
  }

  /// All jobs of an attachment are gone with it.
  mutating func remove(attachment: Int) { running.removeAll { $0.attachment == attachment } }

  private func index(of lease: LeaseID, _ attachment: Int) -> Int? {
    running.firstIndex { $0.lease == lease && $0.attachment == attachment }
  }
}
