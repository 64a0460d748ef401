import RoostBlocks
import RoostPrimitives

/// Fences: the engine hears of every job's start and end, and lets no slot be reused under a running copy.
extension Engine {
  /// A job starts copying under a lease in an attachment.
  ///
  /// - Returns: whether it may; false for a lease that is over or given up.
  func copiesBegin(_ lease: LeaseID, attachment: Int) -> Bool {
    state.withLock { state in
      guard state.table.isLive(lease) else { return false }
      // Asked for every job, not only for the first: a lease that was given up lives on while other jobs run.
      guard state.table.copiesBegan(lease, attachment: attachment) != .stale else { return false }
      state.fences.begin(lease, attachment)
      return true
    }
  }

  /// A job has ended, however.
  func copiesEnd(_ lease: LeaseID, attachment: Int) {
    state.withLock { state in
      guard state.fences.end(lease, attachment) else { return }
      settle(lease, state.table.copiesEnded(lease, attachment: attachment), &state)
    }
    afterPublishing()
  }

  /// An attachment's process is gone, and its copies with it.
  func attachmentGone(_ attachment: Int) {
    state.withLock { state in
      state.fences.remove(attachment: attachment)
      let concerned = state.table.attachmentGone(attachment)
      state.seals.prune { state.table.isLive($0) }
      state.counters.attachmentsGone += 1
      writeRows(&state)
      Log.write(.info, "worker \(attachment) is gone; \(concerned) leases had copies in it")
    }
    afterPublishing()
  }
}
