import Glibc
import RoostConsole
import RoostPrimitives

/// `fio`, the program that measures what a drive can do, as the limit that the disk tier is held against.
struct FioRun {
  /// How fio calls the pattern: `read`, `write`, `randread`.
  var pattern: String
  var blockBytes: Int
  var totalBytes: Int
  var depth: Int
  /// The file that it works on; made and filled if it is missing.
  var path: String

  /// Whether the program is there.
  static var isInstalled: Bool {
    (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").contains { folder in
      access(folder + "/fio", X_OK) == 0
    }
  }

  /// Bytes a second, in GB/s.
  func run() throws(RoostError) -> Double {
    let words = [
      "fio", "--name=roost", "--filename=\(path)", "--rw=\(pattern)", "--bs=\(blockBytes)", "--iodepth=\(depth)",
      "--size=\(fileBytes)", "--io_size=\(totalBytes)", "--ioengine=io_uring", "--direct=1", "--overwrite=1",
      "--randrepeat=0", "--norandommap=1", "--output-format=json",
    ]
    let report = try JSONValue(parsing: try FioRun.output(of: words))
    let side = pattern.hasSuffix("read") ? "read" : "write"
    guard let rate = report["jobs"]?.elements?.first?[side]?["bw_bytes"]?.double, rate > 0 else {
      throw RoostError(.system, "fio did not report a bandwidth")
    }
    return rate / 1e9
  }

  private var fileBytes: Int { max(totalBytes, blockBytes * depth) }

  /// What a program writes on its standard output.
  private static func output(of words: [String]) throws(RoostError) -> String {
    var ends: [CInt] = [0, 0]
    guard pipe(&ends) == 0 else { throw .system("pipe", errno, "cannot start fio") }
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
    guard result == 0 else { throw .system("posix_spawnp", result, "cannot start fio") }
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
    guard status == 0 else { throw RoostError(.system, "fio failed", context: [("status", "\(status)")]) }
    // Warnings may stand before the object.
    return String(decoding: bytes.drop { $0 != UInt8(ascii: "{") }, as: UTF8.self)
  }
}
