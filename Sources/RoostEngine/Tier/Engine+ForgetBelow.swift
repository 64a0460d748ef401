import RoostPrimitives
import RoostStorage

/// `forget` and `reset` reach the tier. Meanwhile nothing comes up or goes down.
extension Engine {
  /// To be called before the pool forgets. No effect without a tier.
  func beginForgettingBelow() {
    guard tier != nil else { return }
    state.withLock { $0.books?.forgettingCount += 1 }
  }

  /// Makes the tier forget, and waits until not even a restart brings a page back.
  ///
  /// - Throws: what the tier throws, `timedOut` among it: the pages are not found any more, but may be after a restart;
  ///   `busy` if the tier could not be recovered: then they are forgotten when it is, if that is in this process.
  func finishForgettingBelow(_ digests: [IdentityDigest], until deadline: Deadline) throws(RoostError) {
    guard let tier else { return }
    defer {
      state.withLock { $0.books?.forgettingCount -= 1 }
      tier.wake()
    }
    // A tier that is not recovered knows nothing yet: it has to, or the pages come back.
    waitForTier(until: deadline)
    guard !tier.forgetLater(digests) else {
      throw RoostError(.busy, "tier '\(tier.setup.tier.name)' is not in use; it forgets when it is")
    }
    // Under the turn: no batch is on its way from the engine's books to the tier.
    try tier.turn.withLock { turn throws(RoostError) in
      guard !turn.isOver else { return }
      for digest in digests { _ = try tier.setup.tier.forget(digest) }
    }
    // The tier's time is the engine's clock, which a simulation owns.
    try tier.setup.tier.drain(until: .after(seconds: deadline.secondsLeft(), on: configuration.clock))
  }
}
