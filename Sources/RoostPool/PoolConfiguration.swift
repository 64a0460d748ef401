import RoostPrimitives

/// What a pool shall be.
public struct PoolConfiguration: Sendable {
  /// Where the memory comes from.
  public enum Backing: Hashable, Sendable {
    /// Memory files without a name; gone with the last process that holds them.
    case anonymous
    /// Files in `path/NAME.roost`. On tmpfs (/dev/shm) or hugetlbfs they are memory; elsewhere the kernel writes them
    /// to the disk when it likes. With `keep` the pool outlives its owner, and the next owner adopts it.
    case directory(path: String, keep: Bool)
  }

  /// Which pages the memory shall have.
  public enum HugePages: Hashable, Sendable {
    /// The system's small pages.
    case none
    /// Huge pages where the kernel makes them by itself; no error where it does not.
    case transparent
    /// Huge pages of this size that the administrator set aside (`vm.nr_hugepages`), for anonymous pools. Where they
    /// run out, the rest of the pool has transparent ones, and one log line says so.
    case reserved(byteCount: Int)
  }

  /// The name by which workers and the next owner find the pool: 1 to 64 letters, digits, `.`, `_`, `-`.
  public var name: String
  /// The bytes of slots that are asked for; less where the system does not give them.
  public var capacity: ByteCount
  /// The slot sizes, one a size class; the index is the class. Different values.
  public var slotByteCounts: [Int]
  /// Where the memory comes from.
  public var backing: Backing = .anonymous
  /// Which pages it has.
  public var hugePages: HugePages = .transparent
  /// NUMA nodes that the chunks are spread over in turn; empty: the kernel decides.
  public var numaNodes: [Int] = []
  /// Bytes of a chunk; nil: chosen from the capacity and the slots.
  public var chunkByteCount: Int?
  /// Stands for everything that must be the same for kept pages to make sense (representations, groups); a kept pool
  /// with another one is dropped and started afresh.
  public var contentToken: UInt64 = 0
  /// Whether other processes may attach. Without it there is no socket and no thread for it.
  public var acceptsAttachments = true

  /// Asks for a pool of one or more slot sizes.
  public init(name: String, capacity: ByteCount, slotByteCounts: [Int], backing: Backing = .anonymous) {
    self.name = name
    self.capacity = capacity
    self.slotByteCounts = slotByteCounts
    self.backing = backing
  }

  /// Whether the pool outlives its owner.
  public var isKept: Bool {
    if case .directory(_, keep: true) = backing { return true }
    return false
  }

  /// Checks everything that does not need the system.
  func validate() throws(RoostError) {
    guard PoolConfiguration.isName(name) else {
      throw RoostError(
        .invalidInput, "'\(name)' cannot name a pool; use 1 to \(Limits.nameLengthMax) letters, digits, '.', '_' or '-'"
      )
    }
    guard capacity.bytes > 0, capacity.bytes <= Limits.capacityBytesMax else {
      throw RoostError(.invalidInput, "a pool has between 1 B and 16 TiB, not \(capacity)")
    }
    guard !slotByteCounts.isEmpty, slotByteCounts.count <= Limits.slotClassCountMax else {
      throw RoostError(
        .invalidInput, "a pool has 1 to \(Limits.slotClassCountMax) slot sizes, not \(slotByteCounts.count)")
    }
    for bytes in slotByteCounts where bytes <= 0 || bytes > Limits.slotByteCountMax {
      throw RoostError(.invalidInput, "a slot has between 1 B and 1 GiB, not \(bytes) bytes")
    }
    guard Set(slotByteCounts).count == slotByteCounts.count else {
      throw RoostError(
        .invalidInput, "two slot size classes have the same size", context: [("sizes", "\(slotByteCounts)")])
    }
    if case .reserved(let bytes) = hugePages, bytes < Limits.pageBytes || bytes.nonzeroBitCount != 1 || bytes > 1 << 34
    {
      throw RoostError(.invalidInput, "huge pages have a power of two of bytes, such as 2MiB, not \(bytes)")
    }
    if case .directory(let path, _) = backing, path.isEmpty || path.utf8.contains(0) {
      throw RoostError(.invalidInput, "the pool's directory needs a path")
    }
    for node in numaNodes where node < 0 || node >= 1024 {
      throw RoostError(.invalidInput, "there is no NUMA node \(node)")
    }
  }

  /// A leading dot is refused so that no name means a directory above.
  static func isName(_ name: String) -> Bool {
    let bytes = name.utf8
    guard !bytes.isEmpty, bytes.count <= Limits.nameLengthMax, bytes.first != UInt8(ascii: ".") else { return false }
    return bytes.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
  }
}
