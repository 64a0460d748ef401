import Foundation
import Testing

/// A `PoolProbe` process of the test's own, killed when the last reference goes.
final class Child {
  let pid: pid_t
  private let input: CInt
  private let output: CInt
  private var pending: [UInt8] = []
  private var isReaped = false

  /// The program, beside the test bundle.
  static let program: String = {
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    let folder = URL(fileURLWithPath: bundle).deletingLastPathComponent()
    return folder.appendingPathComponent("PoolProbe").path
  }()

  init(_ mode: String, _ options: [String: String]) throws {
    var toChild: [CInt] = [0, 0]
    var fromChild: [CInt] = [0, 0]
    try #require(pipe(&toChild) == 0 && pipe(&fromChild) == 0)
    for number in [toChild[1], fromChild[0]] { _ = fcntl(number, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
    posix_spawn_file_actions_addclose(&actions, toChild[0])
    posix_spawn_file_actions_addclose(&actions, fromChild[1])
    let words = [Child.program, mode] + options.map { "\($0.key)=\($0.value)" }
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var pid: pid_t = 0
    let result = posix_spawn(&pid, Child.program, &actions, nil, &arguments, environ)
    close(toChild[0])
    close(fromChild[1])
    self.pid = pid
    input = toChild[1]
    output = fromChild[0]
    try #require(result == 0, "cannot start \(Child.program)")
  }

  deinit {
    kill()
    close(output)
    close(input)
  }

  /// The next line of its output; nil at the end, or after 60 s.
  func line() -> String? {
    while true {
      if let end = pending.firstIndex(of: 10) {
        defer { pending.removeFirst(end + 1) }
        return String(decoding: pending[..<end], as: UTF8.self)
      }
      var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, 60_000) > 0 else { return nil }
      var part = [UInt8](repeating: 0, count: 4096)
      let count = read(output, &part, part.count)
      guard count > 0 else { return nil }
      pending += part[..<count]
    }
  }

  /// Kills it, if it still runs, and waits for its end.
  func kill() {
    guard !isReaped else { return }
    Foundation.kill(pid, SIGKILL)
    _ = wait()
  }

  /// Waits for its end; the exit code, or minus the signal that ended it.
  func wait() -> Int {
    var status: CInt = 0
    isReaped = true
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    return signal == 0 ? Int(status >> 8 & 0xFF) : -Int(signal)
  }
}
