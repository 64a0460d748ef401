import Glibc
import Synchronization

/// Ctrl-C as a question that long work asks now and then, instead of the end of the process wherever it happens to be.
///
/// The second Ctrl-C ends the process at once, as if nobody had asked. Thread-safe.
public enum StopRequest {
  private static let flag = Atomic<Bool>(false)

  /// Starts to listen for SIGINT and SIGTERM. Call it once, before the work.
  public static func listen() {
    // The flag's lazy initialisation must not happen in the handler: it takes a lock.
    flag.store(false, ordering: .relaxed)
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in StopRequest.flag.store(true, ordering: .relaxed) }
    // `SA_RESETHAND` makes the second signal final. System calls are not restarted, so that a read of a pipe on which
    // nothing comes ends too.
    action.sa_flags = CInt(bitPattern: UInt32(SA_RESETHAND))
    sigaction(SIGINT, &action, nil)
    sigaction(SIGTERM, &action, nil)
    // Whoever started this program may have left them blocked.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  /// Whether somebody asked the work to end.
  public static var isMade: Bool { flag.load(ordering: .relaxed) }
}
