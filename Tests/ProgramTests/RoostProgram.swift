import Foundation
import RoostConsole
import Testing

/// The built program, run as a process of its own.
struct RoostProgram {
  /// What a run left behind.
  struct Outcome {
    var status: Int32
    var output: String
    var errors: String

    /// The one JSON value on standard output.
    func json() throws -> JSONValue { try JSONValue(parsing: output) }

    /// The lines on standard error.
    var errorLines: [Substring] { errors.split(separator: "\n") }
  }

  /// `roost` lies beside the test bundle that is running.
  static let path: String = {
    let bundle =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("roost").path
  }()

  let process = Process()
  private let output = Pipe()
  private let errors = Pipe()

  /// Starts the program with `input` on its standard input.
  init(_ arguments: [String], input: String = "") throws {
    process.executableURL = URL(fileURLWithPath: RoostProgram.path)
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = errors
    let source = Pipe()
    process.standardInput = source
    try process.run()
    // Inputs of these tests fit a pipe's buffer of 64 KiB.
    source.fileHandleForWriting.write(Data(input.utf8))
    try source.fileHandleForWriting.close()
  }

  /// Waits until the program handles an interrupt; before, it would simply die.
  func awaitInterruptHandler() throws {
    let path = "/proc/\(process.processIdentifier)/status"
    while process.isRunning {
      let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
      let caught = lines.first { $0.hasPrefix("SigCgt:") }?.split(whereSeparator: \.isWhitespace).last
      if let caught, let mask = UInt64(caught, radix: 16), mask & 1 << UInt64(SIGINT - 1) != 0 { return }
      usleep(1000)
    }
  }

  /// Waits for the end.
  func finish() -> Outcome {
    let descriptor = errors.fileHandleForReading
    let collected = Mailbox()
    let reader = Thread { collected.put(descriptor.readDataToEndOfFile()) }
    reader.start()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus, output: text, errors: String(decoding: collected.take(), as: UTF8.self))
  }

  static func run(_ arguments: String..., input: String = "") throws -> Outcome {
    try RoostProgram(arguments, input: input).finish()
  }
}

/// One value from one thread to another.
private final class Mailbox: @unchecked Sendable {
  // Guarded by the condition.
  private var data: Data?
  private let condition = NSCondition()

  func put(_ data: Data) {
    condition.lock()
    self.data = data
    condition.signal()
    condition.unlock()
  }

  func take() -> Data {
    condition.lock()
    defer { condition.unlock() }
    while data == nil { condition.wait() }
    return data ?? Data()
  }
}

/// A folder of its own for a test's files; gone when the value is released.
final class TestFiles {
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("roost-program-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func write(_ text: String, as name: String = "trace.jsonl") throws -> String {
    let file = folder.appendingPathComponent(name)
    try Data(text.utf8).write(to: file)
    return file.path
  }
}

/// The public traces, where they lie beside the package.
enum PublicTraces {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/data/traces")

  static func path(_ name: String) -> String { folder.appendingPathComponent(name + ".jsonl.zst").path }

  static var areAbsent: Bool { !FileManager.default.fileExists(atPath: path("mooncake_conversation")) }
}
