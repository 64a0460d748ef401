import Foundation
import Testing

/// A drive that does not answer, as the program meets it: opening a file that somebody has a lease on waits, in the kernel,
/// until it is given back or the system takes it.
@Suite struct DriveWatchTests {
  @Test(
    .enabled(if: LeasedFile(in: newPath()) != nil, "needs a file system with leases"),
    arguments: [["disk", "inspect"], ["disk", "verify"], ["disk", "scrub"], ["forget"]])
  func aDriveThatHangsEndsWithOneLine(words: [String]) throws {
    let path = DriveWatchTests.newPath()
    let file = try #require(LeasedFile(in: path))
    defer { withExtendedLifetime(file) {} }
    let outcome = try RoostProgram(words + [path, "--patience", "1"] + (words == ["forget"] ? identity : [])).finish()
    #expect(outcome.status == 1)
    #expect(outcome.errorLines.count == 1, "\(outcome.errors)")
    #expect(outcome.errors.contains("has not answered for 1 s") && outcome.errors.contains(path))
  }

  private let identity = ["--identity", "0123456789abcdef"]

  private static func newPath() -> String {
    NSTemporaryDirectory() + "/roost-watch-\(getpid())-\(UInt64.random(in: 0 ... .max))"
  }

  @Test func aPatienceThatMakesNoSenseIsRefused() throws {
    let outcome = try RoostProgram.run("disk", "inspect", "/nowhere", "--patience", "0")
    #expect(outcome.status == 2 && outcome.errors.contains("--patience"))
  }
}

/// A segment's file, alone in a directory, that nobody else can open.
private final class LeasedFile {
  // <fcntl.h>, for programs that ask for GNU's names.
  private static let setLease: CInt = 1024
  private let directory: String
  private let descriptor: CInt

  /// Nil where there are no leases.
  init?(in directory: String) {
    self.directory = directory
    try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    descriptor = open(directory + "/segment-0000", O_RDWR | O_CREAT, 0o600)
    // Whose lease is to be broken hears of it by this signal, which would end the tests.
    signal(SIGIO, SIG_IGN)
    guard fcntl(descriptor, LeasedFile.setLease, CInt(F_WRLCK)) == 0 else { return nil }
  }

  deinit {
    close(descriptor)
    try? FileManager.default.removeItem(atPath: directory)
  }
}
