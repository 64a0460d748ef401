import CRoostPlatform
import Glibc

/// Whether the memory files that pools are made of are to be had.
public enum MemoryFileProbe {
  /// Makes one of a few bytes and lets it go. Nil if that worked, else what the system said.
  public static func obstacle() -> String? {
    let number = roost_memory_file("roost-probe", 0)
    guard number >= 0 else { return String(cString: strerror(-number)) }
    defer { close(number) }
    let result = roost_file_allocate(number, 0, 4096)
    return result == 0 ? nil : String(cString: strerror(-result))
  }
}
