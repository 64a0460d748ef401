import Glibc
import RoostConsole
import RoostPrimitives

/// A file that is read whole, or standard input, named `-`.
struct InputFile {
  /// Cases and layouts are small; what is larger is another file by mistake (256 MiB of cases take minutes).
  private static let byteCountMax = 256 << 20

  private let bytes: [UInt8]

  /// Whether there is a file at `path`.
  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Reads all of it; blocks until the end of a pipe.
  init(_ path: String) throws(RoostError) {
    let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("open", errno, "cannot open") }
    defer { if descriptor != STDIN_FILENO { close(descriptor) } }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .system("read", errno, "cannot read") }
      if count == 0 { break }
      bytes += chunk[..<count]
      guard bytes.count <= InputFile.byteCountMax else {
        throw RoostError(.invalidInput, "larger than \(ByteCount(InputFile.byteCountMax))")
      }
    }
    self.bytes = bytes
  }

  /// The file as one JSON value.
  func json() throws(RoostError) -> JSONValue {
    let result = bytes.withUnsafeBytes { bytes -> Result<JSONValue, RoostError> in
      do throws(RoostError) { return .success(try JSONValue(parsing: bytes)) } catch { return .failure(error) }
    }
    return try result.get()
  }
}

/// Standard output, written in large portions.
struct LineOutput {
  private var text = ""

  mutating func write(_ words: String) throws(RoostError) {
    text += words
    if text.utf8.count >= 1 << 16 { try flush() }
  }

  mutating func endLine() throws(RoostError) { try write("\n") }

  /// Writes what is left.
  mutating func flush() throws(RoostError) {
    guard !text.isEmpty else { return }
    try Terminal.write(text)
    text.removeAll(keepingCapacity: true)
  }
}
