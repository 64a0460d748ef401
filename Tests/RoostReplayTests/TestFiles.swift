import Foundation

/// A folder of its own for a test's files; gone when the value is released.
final class TestFiles {
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("roost-replay-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func write(_ bytes: some Sequence<UInt8>, as name: String = "trace.jsonl") throws -> String {
    let file = folder.appendingPathComponent(name)
    try Data(bytes).write(to: file)
    return file.path
  }

  func write(_ text: String, as name: String = "trace.jsonl") throws -> String { try write(text.utf8, as: name) }
}

/// The `zstd` program, an independent writer of what the trace reader reads.
enum ZstdProgram {
  static let path: String? = ["/usr/bin/zstd", "/usr/local/bin/zstd"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  static var isAbsent: Bool { path == nil }

  static func run(_ arguments: [String]) throws -> [UInt8] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path ?? "zstd")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Array(data)
  }
}

/// The public traces, where they lie beside the package.
enum PublicTraces {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/data/traces")

  static func path(_ name: String) -> String { folder.appendingPathComponent(name + ".jsonl.zst").path }

  static var areAbsent: Bool { !FileManager.default.fileExists(atPath: path("mooncake_conversation")) }
}
