import CRoostPlatform
import CRoostRing
import Glibc
import RoostPrimitives

/// The memory that a ring has pinned, so that the kernel need not find its pages anew for every operation on it. The one
/// place that decides between registered and plain.
///
/// Registered is what its owner names and keeps until the ring is closed: the pool's chunks, into which pages are read, and
/// the tier's own memory for pages that are not aligned. Not more than `RLIMIT_MEMLOCK` unless somebody said how much, also
/// for those who may pin more; and the kernel has the last word. What does not fit, or cannot be pinned, is moved all the
/// same, the plain way. A write of an aligned page is always plain: header and page are two pieces of memory, and a
/// registered operation has one.
///
/// Thread-safe, but that nothing may be under way when it is closed.
final class RingMemory: Sendable {
  private struct Region {
    let addresses: Range<UInt>
    let place: CInt
  }

  private struct State {
    /// By address. They do not overlap unless somebody named memory twice.
    var regions: [Region] = []
    var pinnedBytes = 0
    var hasPlaces: Bool
    var hasComplained = false
    var operationCount = 0
  }

  // The ring outlives this, and registering is a system call that any thread may make.
  private nonisolated(unsafe) let ring: OpaquePointer
  private let byteCountMax: Int
  private let state: Guarded<State>

  /// `byteCountMax`: how much may be pinned; the limit on locked memory if nobody says.
  init(_ ring: OpaquePointer, byteCountMax: Int?) {
    self.ring = ring
    self.byteCountMax = byteCountMax ?? RingMemory.lockedBytesMax
    let hasPlaces = self.byteCountMax > 0 && roost_ring_open_memory_places(ring, UInt32(Limits.ringMemoryCountMax)) >= 0
    state = Guarded(State(hasPlaces: hasPlaces))
  }

  /// The limit on locked memory.
  private static var lockedBytesMax: Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0 else { return 0 }
    return Int(clamping: limit.rlim_cur)
  }

  /// Bytes that are pinned.
  var pinnedBytes: Int { state.withLock { $0.pinnedBytes } }

  /// Operations that went to registered memory.
  var operationCount: Int { state.withLock { $0.operationCount } }

  /// Registers memory that stays until the ring is closed, as far as that goes.
  func register(_ memory: UnsafeMutableRawBufferPointer) {
    state.withLock { state in
      for start in stride(from: 0, to: memory.count, by: Limits.ringMemoryBytesMax) {
        let count = min(Limits.ringMemoryBytesMax, memory.count - start)
        let result = register(UnsafeMutableRawBufferPointer(rebasing: memory[start..<(start + count)]), &state)
        guard result < 0, !state.hasComplained else { continue }
        state.hasComplained = true
        Log.write(
          .info,
          "disk tier: \(ByteCount(memory.count)) of memory are read into without being registered with io_uring "
            + "(\(String(cString: strerror(-result)))); up to \(ByteCount(byteCountMax)) may be; raise ulimit -l")
      }
    }
  }

  private func register(_ memory: UnsafeMutableRawBufferPointer, _ state: inout State) -> CInt {
    guard state.hasPlaces, state.regions.count < Limits.ringMemoryCountMax else { return -EOPNOTSUPP }
    let start = UInt(bitPattern: memory.baseAddress)
    let mask = UInt(Limits.granuleBytes - 1)
    // The pages that it touches.
    let pinned = Int(((start + UInt(memory.count) + mask) & ~mask) - (start & ~mask))
    guard pinned <= byteCountMax - state.pinnedBytes else { return -ENOMEM }
    let place = state.regions.count
    let result = roost_ring_register_memory(ring, UInt32(place), memory.baseAddress, memory.count)
    guard result >= 0 else { return result }
    let region = Region(addresses: start..<(start + UInt(memory.count)), place: CInt(place))
    state.regions.insert(region, at: RingMemory.index(after: start, in: state.regions))
    state.pinnedBytes += pinned
    return 0
  }

  /// Where the memory around each of these is registered, -1 for none. Counts those that are.
  func places(of parts: [UnsafeMutableRawBufferPointer], into places: inout [CInt]) {
    state.withLock { state in
      for part in parts {
        let place = RingMemory.place(of: part, in: state.regions)
        if place >= 0 { state.operationCount += 1 }
        places.append(place)
      }
    }
  }

  private static func place(of memory: UnsafeMutableRawBufferPointer, in regions: [Region]) -> CInt {
    let start = UInt(bitPattern: memory.baseAddress)
    let next = index(after: start, in: regions)
    guard memory.count > 0, next > 0, start + UInt(memory.count) <= regions[next - 1].addresses.upperBound else {
      return -1
    }
    return regions[next - 1].place
  }

  /// The first region that begins behind an address.
  private static func index(after start: UInt, in regions: [Region]) -> Int {
    var (low, high) = (0, regions.count)
    while low < high {
      let middle = (low + high) / 2
      if regions[middle].addresses.lowerBound <= start { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Nothing is registered any more, nor will be. The memory itself is let go of with the ring's `roost_ring_unregister`.
  func close() {
    state.withLock { state in
      state.regions = []
      state.pinnedBytes = 0
      state.hasPlaces = false
      state.hasComplained = true
    }
  }
}
