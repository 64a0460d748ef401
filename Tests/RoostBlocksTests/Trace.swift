import CZstd
import Foundation
import RoostPrimitives

/// A public trace as the replay reads it: the block ids of every request, in order of arrival.
struct Trace {
  var requests: [[Key]]
  /// When each request arrived, in milliseconds.
  var milliseconds: [UInt64]
  /// How many tokens each request generated.
  var outputTokens: [Int]

  /// Where the traces lie in a checkout that has them.
  static let folder = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../shared/data/traces")
    .standardized

  static func path(_ name: String) -> String { folder.appendingPathComponent(name + ".jsonl.zst").path }

  static func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

  /// Reads only the time and the ids: the digits behind "timestamp" and between the brackets behind "hash_ids".
  init(_ name: String) throws {
    let text = try Trace.decompress(Data(contentsOf: URL(fileURLWithPath: Trace.path(name))))
    let lines = text.split(separator: UInt8(ascii: "\n"))
    requests = lines.map(Trace.ids)
    milliseconds = lines.map { Trace.number("timestamp", $0) }
    outputTokens = lines.map { Int(Trace.number("output_length", $0)) }
  }

  private static func number(_ name: String, _ line: ArraySlice<UInt8>) -> UInt64 {
    let field = Array("\"\(name)\":".utf8)
    guard let start = line.indices.first(where: { line[$0...].starts(with: field) }) else { return 0 }
    let digits = line[(start + field.count)...].drop { $0 == UInt8(ascii: " ") }.prefix { $0 >= 48 && $0 < 58 }
    return digits.reduce(0) { $0 * 10 + UInt64($1 - 48) }
  }

  private static func ids(_ line: ArraySlice<UInt8>) -> [Key] {
    let field = Array("\"hash_ids\"".utf8)
    guard let quote = line.indices.first(where: { line[$0...].starts(with: field) }),
      let open = line[quote...].firstIndex(of: UInt8(ascii: "["))
    else { return [] }
    var keys: [Key] = []
    var value: UInt64?
    for byte in line[(open + 1)...] {
      if byte >= 48, byte < 58 {
        value = (value ?? 0) * 10 + UInt64(byte - 48)
      } else if let id = value {
        keys.append(Key(numbered: id))
        value = nil
      }
      if byte == UInt8(ascii: "]") { break }
    }
    return keys
  }

  private static func decompress(_ data: Data) throws -> [UInt8] {
    var result: [UInt8] = []
    guard let stream = ZSTD_createDStream() else { throw CocoaError(.fileReadUnknown) }
    defer { ZSTD_freeDStream(stream) }
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    try data.withUnsafeBytes { source in
      var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)  // zstd calls it src.
      while input.pos < input.size {
        let written = try chunk.withUnsafeMutableBytes { target in
          var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)  // zstd calls it dst.
          guard ZSTD_isError(ZSTD_decompressStream(stream, &output, &input)) == 0 else {
            throw CocoaError(.fileReadCorruptFile)
          }
          return output.pos
        }
        result.append(contentsOf: chunk[..<written])
      }
    }
    return result
  }
}

extension Key {
  /// A key with a well-mixed hash that stands for a small number.
  init(numbered number: UInt64, identity: UInt32 = 0, group: UInt16 = 0) {
    self.init(
      identity: IdentityID(rawValue: identity), group: group, words: (SplitMix64.mix(number), number, ~number, 1))
  }
}
