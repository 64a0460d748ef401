import Glibc
import RoostPrimitives

/// Runs another program for what it prints.
public enum ProgramOutput {
  /// What a program writes on its standard output; it has the environment and the standard error of this one. Blocks until
  /// it ends.
  ///
  /// - Parameter words: the program, looked for in PATH, and its arguments.
  /// - Throws: `notFound` if there is no such program, `system` if it fails.
  public static func text(of words: [String]) throws(RoostError) -> String {
    var ends: [CInt] = [0, 0]
    guard pipe(&ends) == 0 else { throw .system("pipe", errno, "cannot start \(words[0])") }
    defer { close(ends[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    posix_spawn_file_actions_addclose(&actions, ends[0])
    var pid: pid_t = 0
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let result = posix_spawnp(&pid, words[0], &actions, nil, &arguments, environ)
    close(ends[1])
    guard result == 0 else {
      if result == ENOENT { throw RoostError(.notFound, "there is no program '\(words[0])'") }
      throw .system("posix_spawnp", result, "cannot start \(words[0])")
    }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = part.withUnsafeMutableBytes { read(ends[0], $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      bytes += part[..<count]
    }
    var status: CInt = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    guard status == 0 else { throw RoostError(.system, "\(words[0]) failed", context: [("status", "\(status)")]) }
    return String(decoding: bytes, as: UTF8.self)
  }
}
