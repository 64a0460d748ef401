import Glibc
import RoostPrimitives

/// Reads a trace in Mooncake's format, one JSON object a line, from a file (plain or zstd) or standard input. Streams:
/// memory is one line. Not thread-safe.
public final class TraceReader: RequestStream {
  /// The file's name.
  public let name: String
  /// How many requests the file has, nil for standard input and for files that take long to count.
  public let requestCount: Int?

  private let bytes: TraceBytes
  private var buffer: UnsafeMutableRawBufferPointer
  private var filled = 0
  private var lineStart = 0
  private var isAtEnd = false
  private var lineNumber = 0
  private var requestsRead = 0

  /// Opens a trace; `-` is standard input. A file is read through once, for at most a second, to count its requests and
  /// to find out early whether it is whole.
  ///
  /// - Throws: `notFound`, `invalidInput`.
  public convenience init(path: String) throws(RoostError) {
    let count = path == "-" ? nil : try TraceReader.countRequests(of: path)
    try self.init(path: path, requestCount: count)
  }

  private init(path: String, requestCount: Int?) throws(RoostError) {
    bytes = try TraceBytes(path: path)
    name = bytes.name
    self.requestCount = requestCount
    buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 * Limits.readByteCount, alignment: 64)
  }

  deinit { buffer.deallocate() }

  /// Parses the next line that is not blank.
  ///
  /// - Throws: `invalidInput` with the line's number.
  public func next(into request: inout TraceRequest) throws(RoostError) -> Bool {
    while let line = try nextLine() {
      guard line.contains(where: { $0 > 0x20 }) else { continue }
      do throws(RoostError) {
        var parser = TraceLineParser(line)
        try parser.parse(into: &request)
      } catch {
        throw RoostError(.invalidInput, "\(name), line \(lineNumber): \(error.message)")
      }
      requestsRead += 1
      return true
    }
    guard requestsRead > 0 else {
      throw RoostError(.invalidInput, "\(name) has no requests; a trace has one JSON object a line")
    }
    return false
  }

  /// The bytes of the next line without its end, valid until the next call; nil at the end.
  private func nextLine() throws(RoostError) -> UnsafeRawBufferPointer? {
    var searched = lineStart
    while true {
      if let end = newline(in: searched..<filled) {
        defer { lineStart = end + 1 }
        lineNumber += 1
        return UnsafeRawBufferPointer(rebasing: buffer[lineStart..<end])
      }
      searched = filled
      if isAtEnd {
        guard lineStart < filled else { return nil }
        defer { lineStart = filled }
        lineNumber += 1
        return UnsafeRawBufferPointer(rebasing: buffer[lineStart..<filled])
      }
      searched -= try makeRoom()
      let space = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let count: Int
      do throws(RoostError) {
        count = try bytes.read(into: space)
      } catch {
        guard error.code == .invalidInput, lineNumber > 0 else { throw error }
        throw RoostError(.invalidInput, "\(error.message) (whole up to line \(lineNumber))")
      }
      filled += count
      isAtEnd = count == 0
    }
  }

  private func newline(in range: Range<Int>) -> Int? {
    guard !range.isEmpty, let start = buffer.baseAddress,
      let found = memchr(start + range.lowerBound, CInt(UInt8(ascii: "\n")), range.count)
    else { return nil }
    return UnsafeRawPointer(found) - UnsafeRawPointer(start)
  }

  /// Moves the unfinished line to the front, or doubles the buffer if it fills it; returns how far it moved.
  private func makeRoom() throws(RoostError) -> Int {
    let moved = lineStart
    if moved > 0 {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[moved..<filled]))
      filled -= moved
      lineStart = 0
    }
    guard filled == buffer.count else { return moved }
    guard buffer.count < Limits.lineByteCountMax else {
      throw RoostError(
        .invalidInput,
        "\(name), line \(lineNumber + 1): longer than \(ByteCount(Limits.lineByteCountMax)); a trace has one request a line"
      )
    }
    let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer.count * 2, alignment: 64)
    larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<filled]))
    buffer.deallocate()
    buffer = larger
    return moved
  }

  /// Requests of a file, nil if counting takes too long. What is wrong with the first request, or with the file as a
  /// whole, is found here, before anything is made for a replay; what is wrong with a later line when its turn comes.
  private static func countRequests(of path: String) throws(RoostError) -> Int? {
    let deadline = Deadline.after(seconds: Limits.countSeconds)
    let reader = try TraceReader(path: path, requestCount: nil)
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    var first = TraceRequest()
    _ = try reader.next(into: &first)
    var count = 1
    while let line = try reader.nextLine() {
      if line.contains(where: { $0 > 0x20 }) { count += 1 }
      if deadline.hasPassed() { return nil }
    }
    return count
  }
}
