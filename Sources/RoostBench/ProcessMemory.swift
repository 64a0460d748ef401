import Glibc

/// What this process has of the machine's memory, as /proc says.
enum ProcessMemory {
  /// Now.
  static var residentBytes: Int { value("VmRSS:") }

  /// The most since `resetPeak`.
  static var peakBytes: Int { value("VmHWM:") }

  /// Makes the peak begin anew.
  static func resetPeak() {
    guard let file = fopen("/proc/self/clear_refs", "w") else { return }
    fputs("5", file)
    fclose(file)
  }

  private static func value(_ name: String) -> Int {
    guard let file = fopen("/proc/self/status", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, CInt(line.count), file) != nil {
      let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        .split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\n" })
      if words.first == Substring(name), words.count > 1, let kibibytes = Int(words[1]) { return kibibytes << 10 }
    }
    return 0
  }
}
