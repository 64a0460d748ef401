import Glibc

/// Small text files of the kernel: /proc, /sys.
enum SmallFile {
  /// The file's text, or nil if it cannot be read or is longer than `Limits.smallFileBytesMax`.
  static func text(_ path: String) -> String? {
    let number = open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return nil }
    let file = Descriptor(number)
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 16 << 10)
    while bytes.count <= Limits.smallFileBytesMax {
      let count = part.withUnsafeMutableBytes { read(file.number, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes.append(contentsOf: part[..<count])
    }
    return nil
  }

  /// The first line without the blanks around it.
  static func line(_ path: String) -> String? {
    text(path)?.split(separator: "\n", omittingEmptySubsequences: true).first.map { trimmed($0) }
  }

  /// The number after `name` in a file of `name value` lines; a unit after the value is ignored.
  static func number(_ name: String, in text: String) -> Int? {
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == ":" })
      if words.count >= 2, words[0] == name { return Int(words[1]) }
    }
    return nil
  }

  private static func trimmed(_ line: Substring) -> String {
    String(line.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
