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
    // Warnings may stand before the object.
    let report = try JSONValue(
      parsing: String(decoding: try ProgramOutput.text(of: words).utf8.drop { $0 != UInt8(ascii: "{") }, as: UTF8.self))
    let side = pattern.hasSuffix("read") ? "read" : "write"
    guard let rate = report["jobs"]?.elements?.first?[side]?["bw_bytes"]?.double, rate > 0 else {
      throw RoostError(.system, "fio did not report a bandwidth")
    }
    return rate / 1e9
  }

  private var fileBytes: Int { max(totalBytes, blockBytes * depth) }
}
