import RoostPool
import RoostPrimitives
import Synchronization

/// A thread that takes in what workers say as soon as they say it, so that leases end and fences fall whether or not
/// anybody polls. Thread-safe.
final class WorkerService: Sendable {
  private let isStopped: Shared
  private let thread: Locked<HostThread?>

  private final class Shared: Sendable {
    let value = Atomic(false)
  }

  /// Starts the thread. `serve` takes in what has come; false: there is nobody left to serve.
  init(_ pool: Pool, _ serve: @escaping @Sendable () -> Bool) throws(RoostError) {
    let isStopped = Shared()
    self.isStopped = isStopped
    thread = Locked(
      try HostThread.start("roost-serve") {
        while !isStopped.value.load(ordering: .acquiring), serve() {
          pool.waitForEvent(until: .after(seconds: Limits.workerIdleSeconds))
        }
      })
  }

  deinit {
    // Not joined: the last reference may go in the thread itself.
    end()
    thread.withLock { $0.take() }?.detach()
  }

  /// The thread is to end; it does at the next event, when the pool closes, or soon.
  func end() { isStopped.value.store(true, ordering: .releasing) }

  /// Waits for the end of the thread.
  func join() { thread.withLock { $0.take() }?.join() }
}
