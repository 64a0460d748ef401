import CRoostPlatform
import Foundation
import Testing

@testable import RoostPool

/// Real conditions that only a privileged process can make.
enum Privileges {
  static let canMount: Bool = {
    guard geteuid() == 0 else { return false }
    return (try? withMount(bytes: 1 << 20) { _ in true }) ?? false
  }()

  static let canLimitMemory: Bool = {
    guard geteuid() == 0 else { return false }
    return (try? withControlGroup(limit: 64 << 20) { _ in true }) ?? false
  }()

  /// Whether the tests, and so the child processes, run under a sanitizer.
  static let isSanitized = ["__tsan_init", "__asan_init"].contains { (name: String) in
    dlsym(nil, name) != nil
  }

  static func withMount<Result>(bytes: Int, _ body: (String) throws -> Result) throws -> Result {
    try Scratch.withDirectory(in: NSTemporaryDirectory()) { path in
      try #require(mount("none", path, "tmpfs", 0, "size=\(bytes)") == 0)
      defer { umount2(path, CInt(MNT_DETACH)) }
      return try body(path)
    }
  }

  /// Takes every byte that a small file system has left.
  static func fillUp(_ path: String) throws {
    let file = open(path + "/filler", O_RDWR | O_CREAT, 0o600)
    try #require(file >= 0)
    defer { close(file) }
    let block = [UInt8](repeating: 1, count: 4096)
    while write(file, block, block.count) > 0 {}
    #expect(errno == ENOSPC)
  }

  /// A control group of version 1 or 2 below the test's own.
  static func withControlGroup<Result>(limit: Int, _ body: (String) throws -> Result) throws -> Result {
    let own = try #require(ControlGroups.current().groups.first)
    let path = own.path + "/" + Scratch.uniqueName()
    try #require(mkdir(path, 0o755) == 0)
    defer {
      // Its processes may need a moment to be gone.
      for _ in 0..<200 where rmdir(path) != 0 { usleep(5000) }
    }
    let file = path + (own.isVersion2 ? "/memory.max" : "/memory.limit_in_bytes")
    try "\(limit)".write(toFile: file, atomically: false, encoding: .utf8)
    return try body(path)
  }
}
