import RoostPrimitives
import Synchronization

/// A thread that seals behind: asleep until there is something to do. Thread-safe.
final class Sealer: Sendable {
  private let bell: Doorbell
  private let isStopped: Shared
  private let thread: Locked<HostThread?>

  private final class Shared: Sendable {
    let value = Atomic(false)
  }

  /// Starts the thread. `work` does some of the work and says whether there was any.
  init(_ work: @escaping @Sendable () -> Bool) throws(RoostError) {
    let bell = Doorbell()
    let isStopped = Shared()
    self.bell = bell
    self.isStopped = isStopped
    thread = Locked(
      try HostThread.start("roost-seal") {
        while !isStopped.value.load(ordering: .acquiring) {
          let seen = bell.ringCount
          if !work() { bell.wait(past: seen, spinNanoseconds: 0, until: .never) }
        }
      })
  }

  deinit {
    // Not joined: the last reference may go in the thread itself.
    end()
    thread.withLock { $0.take() }?.detach()
  }

  /// There is something to do.
  func wake() { bell.ring() }

  /// Ends the thread after what it is doing and waits for it. Not to be called by `work`.
  func stop() {
    end()
    thread.withLock { $0.take() }?.join()
  }

  private func end() {
    isStopped.value.store(true, ordering: .releasing)
    bell.ring()
  }
}
