import Glibc
import RoostPrimitives

/// This program in a second process. Killed, if it has not ended, with the last reference.
final class WorkerProcess {
  private let pid: pid_t

  /// Starts this program with other arguments; its output goes where ours goes.
  init(_ arguments: [String]) throws(RoostError) {
    // Not the path: the file may have been replaced since.
    let program = "/proc/self/exe"
    var pid: pid_t = 0
    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    let result = posix_spawn(&pid, program, nil, nil, words, environ)
    guard result == 0 else { throw .system("posix_spawn", result, "cannot start a second process") }
    self.pid = pid
  }

  deinit {
    kill(pid, SIGKILL)
    var status: CInt = 0
    waitpid(pid, &status, 0)
  }
}
