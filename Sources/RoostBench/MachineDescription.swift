import Glibc

/// What a figure was measured on.
public struct MachineDescription: Sendable, Hashable {
  /// The processor, as the kernel names it.
  public var cpu: String
  /// Processors that are online.
  public var coreCount: Int
  /// Installed memory.
  public var memoryBytes: Int
  /// The kernel's name and release.
  public var kernel: String
  /// Transparent huge pages: `always`, `madvise` or `never`, empty if unknown.
  public var hugePages: String

  /// Describes the machine that this runs on. What cannot be read stays empty.
  public static func current() -> MachineDescription {
    var system = utsname()
    uname(&system)
    let pageCount = sysconf(CInt(_SC_PHYS_PAGES))
    return MachineDescription(
      cpu: processorName(), coreCount: Int(sysconf(CInt(_SC_NPROCESSORS_ONLN))),
      memoryBytes: pageCount * sysconf(CInt(_SC_PAGESIZE)),
      kernel: text(of: &system.sysname) + " " + text(of: &system.release) + " " + text(of: &system.machine),
      hugePages: chosenHugePages())
  }

  private static func text<Field>(of field: inout Field) -> String {
    withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  private static func processorName() -> String {
    let wanted = ["model name", "Model", "cpu model"]
    for line in lines(of: "/proc/cpuinfo") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let name = parts[0].filter { $0 != "\t" }
      if wanted.contains(name) { return String(parts[1].drop { $0 == " " }) }
    }
    return ""
  }

  private static func chosenHugePages() -> String {
    let line = lines(of: "/sys/kernel/mm/transparent_hugepage/enabled").first ?? ""
    return String(line.drop { $0 != "[" }.dropFirst().prefix { $0 != "]" })
  }

  private static func lines(of path: String) -> [String] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var result: [String] = []
    var buffer = [CChar](repeating: 0, count: 4096)
    while fgets(&buffer, CInt(buffer.count), file) != nil {
      let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      result.append(String(decoding: bytes.last == 10 ? bytes.dropLast() : bytes[...], as: UTF8.self))
    }
    return result
  }
}
