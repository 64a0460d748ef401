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
    setup.tier.close(until: .after(seconds: 0))
  }

  /// Whether the tier has been recovered and is in use.
  var isReady: Bool { flags.isReady.load(ordering: .acquiring) }

  /// Whether it will not be in use any more, or is.
  var isSettled: Bool { isReady || flags.hasFailed.load(ordering: .acquiring) }

  /// Finds what an earlier process left. A tier that cannot is left alone: everything in it is a miss.
  func recover() {
    do throws(RoostError) {
      let report = try setup.tier.recover(until: .after(seconds: Limits.tierRecoverSeconds))
      Log.write(
        .info, "tier '\(setup.tier.name)': \(report.pageCount) pages of \(report.identityCount) identities found")
      flags.isReady.store(true, ordering: .releasing)
    } catch {
      Log.write(.error, "tier '\(setup.tier.name)' is not used: \(error)")
      flags.hasFailed.store(true, ordering: .releasing)
    }
  }

  /// Starts the thread. `turn` moves the work on as far as it goes without waiting.
  func start(_ turn: @escaping @Sendable () -> TierOutlook) throws(RoostError) {
    let (bell, flags, tier) = (bell, flags, setup.tier)
    let recover: @Sendable () -> Void = { [weak self] in self?.recover() }
    let made = try HostThread.start("roost-tier") {
      recover()
      while !flags.isStopped.load(ordering: .acquiring) {
        let seen = bell.ringCount
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
