import Foundation

/// One run of the built `roost`, in a process of its own, with files for its streams so that no pipe can fill up.
struct ProgramRun {
  let status: Int32
  /// Whether a signal ended it: a crash.
  let crashed: Bool
  let output: String
  let errors: String

  /// Runs to the end. `{input}` in an argument stands for a file that holds `input`, which is standard input too.
  init(_ arguments: [String], input: Data = Data()) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "roost-layout-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = ["input", "output", "errors"].map { folder.appending(path: $0) }
    for file in files { try input.write(to: file) }
    for file in files.dropFirst() { try Data().write(to: file) }
    let process = Process()
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appending(path: "roost")
    process.arguments = arguments.map { $0.replacing("{input}", with: files[0].path) }
    process.standardInput = try FileHandle(forReadingFrom: files[0])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try process.run()
    process.waitUntilExit()
    status = process.terminationStatus
    crashed = process.terminationReason == .uncaughtSignal
    output = String(decoding: try Data(contentsOf: files[1]), as: UTF8.self)
    errors = String(decoding: try Data(contentsOf: files[2]), as: UTF8.self)
  }

  /// The output, one JSON object a line.
  func objects() throws -> [[String: Any]] {
    try output.split(separator: "\n").map {
      try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
    }
  }
}
