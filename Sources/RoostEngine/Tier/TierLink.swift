import RoostBlocks
import RoostPool
import RoostPrimitives
import RoostStorage
import Synchronization

/// The tier of an engine, what is under way with it, and the thread that moves that on.
///
/// Locks: `turn` is taken before the engine's, never the other way round, and by nobody who serves a request. So the
/// tier may take its time.
final class TierLink: Sendable {
  let setup: TierSetup
  let turn = Guarded(TierTurn())
  private let bell = Doorbell()
  private let thread: Locked<HostThread?> = Locked(nil)
  private let flags = Flags()
  private let recovery = Guarded(TierRecovery())
  /// Kept mapped as long as the tier may read or write it.
  private let pool: Pool?

  private final class Flags: Sendable {
    let isStopped = Atomic(false)
    let isReady = Atomic(false)
    let hasFailed = Atomic(false)
  }

  init(_ setup: TierSetup, _ pool: Pool?) {
    self.setup = setup
    self.pool = pool
  }

  deinit {
    // Not joined: the last reference may go in the thread itself.
    stopThread()
    thread.withLock { $0.take() }?.detach()
    // The pool stays mapped as long as the tier may touch it.
    let (tier, pool) = (setup.tier, pool)
    let close = { @Sendable in withExtendedLifetime(pool) { tier.close(until: .after(seconds: 0)) } }
    guard setup.driving == .thread else { return close() }
    _ = HostThread.run("roost-tier-end", until: .after(seconds: Limits.tierCloseSeconds), close)
  }

  /// Whether the tier has been recovered and is in use.
  var isReady: Bool { flags.isReady.load(ordering: .acquiring) }

  /// Whether it is in use, or has been tried and is not.
  var isSettled: Bool { isReady || flags.hasFailed.load(ordering: .acquiring) }

  /// Finds what an earlier process left, if it is time to try. A tier that cannot is tried again after a pause, since a
  /// full disk has room again one day; until then everything in it is a miss.
  func recoverIfDue(on clock: any Clock) {
    guard !isReady, recovery.withLock({ $0.isDue(at: clock.nanoseconds) }) else { return }
    do throws(RoostError) {
      let report = try setup.tier.recover(until: .after(seconds: Limits.tierRecoverSeconds))
      Log.write(
        .info, "tier '\(setup.tier.name)': \(report.pageCount) pages of \(report.identityCount) identities found")
      try recovery.withLock { recovery throws(RoostError) in
        for digest in recovery.unforgotten { _ = try setup.tier.forget(digest) }
        recovery.unforgotten = []
        flags.isReady.store(true, ordering: .releasing)
      }
    } catch {
      let seconds = recovery.withLock { $0.failed(at: clock.nanoseconds) }
      Log.write(.error, "tier '\(setup.tier.name)' is not used, and tried again in \(Int(seconds)) s: \(error)")
      flags.hasFailed.store(true, ordering: .releasing)
    }
  }

  /// Notes that identities are to be forgotten once the tier knows what it has. False: it does.
  func forgetLater(_ digests: [IdentityDigest]) -> Bool {
    recovery.withLock { recovery in
      guard !isReady else { return false }
      for digest in digests where !recovery.unforgotten.contains(digest) { recovery.unforgotten.append(digest) }
      return true
    }
  }

  /// Starts the thread. `turn` moves the work on as far as it goes without waiting.
  func start(on clock: any Clock, _ turn: @escaping @Sendable () -> TierOutlook) throws(RoostError) {
    let (bell, flags, tier) = (bell, flags, setup.tier)
    let recover: @Sendable () -> Void = { [weak self] in self?.recoverIfDue(on: clock) }
    let made = try HostThread.start("roost-tier") {
      while !flags.isStopped.load(ordering: .acquiring) {
        let seen = bell.ringCount
        if !flags.isReady.load(ordering: .acquiring) {
          recover()
          if flags.isStopped.load(ordering: .acquiring) { return }
        }
        switch turn() {
        case .busy: continue
        case .waits: _ = tier.wait(until: .after(seconds: Limits.tierWaitSeconds))
        case .idle: bell.wait(past: seen, spinNanoseconds: 0, until: .after(seconds: Limits.tierIdleSeconds))
        case .over: return
        }
      }
    }
    thread.withLock { $0 = made }
  }

  /// There is something to do.
  func wake() { bell.ring() }

  /// Ends the thread after what it is doing, and waits for it.
  func stop() {
    stopThread()
    thread.withLock { $0.take() }?.join()
  }

  private func stopThread() {
    flags.isStopped.store(true, ordering: .releasing)
    bell.ring()
  }
}

/// When a tier that could not be recovered is tried again, and what it has to do then.
struct TierRecovery {
  private var nextAttempt: UInt64 = 0
  private var pauseSeconds = Limits.tierRecoverPauseSecondsMin
  /// Identities that were forgotten while nobody knew what the tier has.
  var unforgotten: [IdentityDigest] = []

  func isDue(at time: UInt64) -> Bool { time >= nextAttempt }

  /// Returns the seconds until the next attempt.
  mutating func failed(at time: UInt64) -> Double {
    let pause = pauseSeconds
    nextAttempt = time &+ UInt64(pause * 1e9)
    pauseSeconds = min(2 * pause, Limits.tierRecoverPauseSecondsMax)
    return pause
  }
}

/// What is to be done after a turn.
public enum TierOutlook: Sendable {
  /// Another turn: there is more that can be done at once.
  case busy
  /// Wait for the tier.
  case waits
  /// Wait for requests.
  case idle
  /// Nothing ever again.
  case over
}

/// What is under way with the tier.
struct TierTurn {
  var flights: [TierTicket: TierFlight] = [:]
  var events: [TierEvent] = []
  var isOver = false
  /// Chunks of the pool that the tier has been told of.
  var chunkCount = 0

  func count(_ isMeant: (TierFlight) -> Bool) -> Int { flights.values.reduce(0) { $0 + (isMeant($1) ? 1 : 0) } }
}

/// A batch that a tier has.
struct TierFlight {
  enum Purpose {
    case promotion(PrefetchID, slotClass: Int)
    case demotion
  }

  var purpose: Purpose
  /// What keeps the slots as they are.
  var lease: LeaseID?
  /// Which slots.
  var pages: [SealLedger.Page] = []
  var outcomes: [PageOutcome?]
  var byteCount = 0
  var startedAt: UInt64

  var isPromotion: Bool { if case .promotion = purpose { true } else { false } }
  var isDemotion: Bool { if case .demotion = purpose { true } else { false } }
}
