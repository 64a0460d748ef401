import CRoostPlatform
import Glibc
import RoostPrimitives

/// Room for more memory, and what sets it.
struct MemoryRoom: Hashable, Sendable {
  /// Bytes that may still be taken.
  var bytes: Int
  /// What limits it and what to do, as half a sentence.
  var reason: String
}

/// What the system lets this process take. Asked before every step of a commit: beyond a control group's limit the
/// kernel kills, beyond RLIMIT_FSIZE it sends a signal, and a full tmpfs kills whoever touches a hole.
struct MemoryLimits: Sendable {
  private let controlGroups: ControlGroups

  init() { controlGroups = .current() }

  /// The largest file that this process may make.
  static var fileBytesMax: Int { limit(RLIMIT_FSIZE) ?? .max }

  /// Address space that this process may still take, with a reserve left; nil: unlimited.
  static var addressSpaceRoom: Int? {
    guard let limit = limit(RLIMIT_AS) else { return nil }
    let pages = SmallFile.line("/proc/self/statm")?.split(separator: " ").first.flatMap { Int($0) } ?? 0
    return max(0, limit - pages * sysconf(CInt(_SC_PAGESIZE)) - Limits.addressSpaceReserveBytes)
  }

  private static func limit(_ resource: __rlimit_resource) -> Int? {
    var value = rlimit()
    guard getrlimit(__rlimit_resource_t(resource.rawValue), &value) == 0 else { return nil }
    return Int(exactly: value.rlim_cur).flatMap { $0 >= Int.max >> 1 ? nil : $0 }
  }

  /// The machine's memory; nil if unknown.
  static var machineBytes: Int? {
    SmallFile.text("/proc/meminfo").flatMap { SmallFile.number("MemTotal", in: $0) }.map { $0 << 10 }
  }

  /// Room for memory on the file system of `file`.
  func room(for file: Descriptor) -> MemoryRoom {
    var rooms: [MemoryRoom] = []
    var system = roost_file_system()
    let isKnown = roost_file_system_of(file.number, &system) == 0
    if isKnown, system.kind == roost_kind_hugetlbfs {
      return MemoryRoom(bytes: .max, reason: "")  // Set aside already; fallocate says when they run out.
    }
    // A memory file lies on a tmpfs of the kernel's own, which has no size.
    if isKnown, system.total_bytes > 0 { rooms.append(MemoryLimits.room(in: system)) }
    if !isKnown || system.kind == roost_kind_tmpfs {
      rooms.append(contentsOf: [controlGroupRoom(), machineRoom()].compactMap { $0 })
    }
    return rooms.min { $0.bytes < $1.bytes } ?? MemoryRoom(bytes: .max, reason: "")
  }

  private static func room(in system: roost_file_system) -> MemoryRoom {
    let total = Int(system.total_bytes)
    let bounds = Limits.fileSystemReserveBytes
    let reserve = min(max(total / 64, bounds.lowerBound), bounds.upperBound)
    let kind = system.kind == roost_kind_tmpfs ? "tmpfs" : "file system"
    return MemoryRoom(
      bytes: max(0, Int(system.free_bytes) - reserve),
      reason: "the \(kind) of its directory has \(ByteCount(Int(system.free_bytes))) free of \(ByteCount(total)); "
        + (kind == "tmpfs" ? "make it larger (mount -o remount,size=..., docker --shm-size)" : "free some space"))
  }

  private func controlGroupRoom() -> MemoryRoom? {
    guard let room = controlGroups.room(read: SmallFile.text) else { return nil }
    let bounds = Limits.controlGroupReserveBytes
    let reserve = min(max(room.limitBytes / 16, bounds.lowerBound), bounds.upperBound)
    return MemoryRoom(
      bytes: max(0, room.bytes - reserve),
      reason: "the control group has \(ByteCount(room.bytes)) left of its limit of \(ByteCount(room.limitBytes)); "
        + "raise \(room.file)")
  }

  private func machineRoom() -> MemoryRoom? {
    guard let text = SmallFile.text("/proc/meminfo"), let kibibytes = SmallFile.number("MemAvailable", in: text) else {
      return nil
    }
    let available = kibibytes << 10
    let bounds = Limits.machineReserveBytes
    let reserve = min(max(available / 32, bounds.lowerBound), bounds.upperBound)
    return MemoryRoom(
      bytes: max(0, available - reserve),
      reason: "the machine has \(ByteCount(available)) of memory available; free some, or add some")
  }
}
