import CRoostPlatform
import Glibc
import Synchronization

/// An own thread: no pool, no runtime, so that it works after a fork of a process that never used it. All signals are
/// blocked in it. It must be joined, once.
public struct HostThread: @unchecked Sendable {
  // A pthread_t is an opaque number that any thread may join.
  private let handle: pthread_t

  /// Starts a thread that calls `body` and ends when it returns.
  ///
  /// - Parameters:
  ///   - name: shown by debuggers and `top -H`; cut after 15 bytes.
  /// - Throws: `outOfResources` when the system has no thread left.
  public static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(RoostError) -> HostThread {
    let work = Unmanaged.passRetained(Work(name: name, body: body))
    var handle = pthread_t()
    let number = pthread_create(&handle, nil, { HostThread.run($0) }, work.toOpaque())
    guard number == 0 else {
      work.release()
      throw RoostError.system(
        "pthread_create", number == EAGAIN ? ENOMEM : number, "cannot start the thread '\(name)'; raise ulimit -u")
    }
    return HostThread(handle: handle)
  }

  /// Waits until the thread's body has returned. Must not be called by the thread itself.
  public func join() { pthread_join(handle, nil) }

  /// Does something that may hang in a thread of its own, and waits for it until a deadline; here and without one, where
  /// the system has no thread left. False: it still runs, and goes on.
  public static func run(_ name: String, until deadline: Deadline, _ body: @escaping @Sendable () -> Void) -> Bool {
    let end = Ending()
    let thread: HostThread
    do throws(RoostError) {
      thread = try start(name) {
        body()
        end.hasCome.store(true, ordering: .releasing)
        end.bell.ring()
      }
    } catch {
      body()
      return true
    }
    while true {
      let rings = end.bell.ringCount
      if end.hasCome.load(ordering: .acquiring) {
        thread.join()
        return true
      }
      if !end.bell.wait(past: rings, spinNanoseconds: 0, until: deadline), deadline.hasPassed() {
        thread.detach()
        return false
      }
    }
  }

  private final class Ending: Sendable {
    let bell = Doorbell()
    let hasCome = Atomic(false)
  }

  /// Gives up joining: the thread frees itself when its body returns.
  public func detach() { pthread_detach(handle) }

  /// Puts the calling thread to sleep.
  public static func sleep(seconds: Double) { usleep(UInt32(max(0, min(seconds, 1000)) * 1e6)) }

  private final class Work: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  private static func run(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let work = Unmanaged<Work>.fromOpaque(context).takeRetainedValue()
    _ = roost_thread_block_signals()
    roost_thread_set_name(work.name)
    roost_thread_leave_binding()
    work.body()
    return nil
  }
}
