import Glibc
import RoostPrimitives

/// A disk in memory that breaks as its seed says. The same seed and the same calls give the same faults.
///
/// THE FAULT MODEL. The unit is a sector of 512 bytes, which is written whole or not at all.
///
/// - Power: `crash` ends everything under way. Of every sector written since the last sync of its file, and of every
///   sector of a write under way, either the new or the synced content survives, each by its own coin: torn writes, and
///   writes in any order. Names (new, renamed, removed files) not synced survive or not, likewise. Synced sectors and
///   names survive.
/// - Lost, misdirected, late writes: acknowledged, and not there; elsewhere in the same file, at a multiple of 4 KiB, in
///   the place of what was there; there only after a while.
/// - Failed writes: EIO after any of the sectors.
/// - Latent read errors: EIO for a sector until it is written. Rot: a bit turns over for good.
/// - A full disk: creating files fails, and for a while every write, with ENOSPC.
/// - Short transfers and stalls: fewer bytes than asked for; much later than others. Completions come in any order.
/// - Empty syncs: acknowledged without effect.
///
/// Not in the model: blocking calls (headers of segments, small files) are not lost, misdirected or late, since a few
/// blocks at fixed places are a matter for a checksum, which failed power gives enough work; they are torn by crashes, rot,
/// and run into read errors like others. Sectors are not torn inside. Files do not change their length by themselves.
///
/// Thread-safe, though runs are reproducible with one thread only.
public final class SimulatedDisk: Sendable {
  let state: Guarded<SimulatedDiskState>
  /// The clock that its operations move.
  public let clock: SeededClock

  /// An empty disk of `capacityBytes`.
  public init(seed: UInt64, capacityBytes: Int, faults: StorageFaults, clock: SeededClock) {
    state = Guarded(SimulatedDiskState(seed: seed, capacityBytes: capacityBytes, faults: faults))
    self.clock = clock
  }

  /// Ends everything under way, as a loss of power would. Directories opened before are of no use any more.
  public func crash() { state.withLock { $0.crash() } }

  /// Ends everything under way, as killing the process would: what was written is there, though not durable.
  public func kill() { state.withLock { $0.kill() } }

  /// Changes what may go wrong from now on.
  public func setFaults(_ faults: StorageFaults) {
    state.withLock { state in
      state.faults = faults
      if faults.full == 0 { state.fullSteps = 0 }
    }
  }

  /// The names of the files, sorted.
  public var fileNames: [String] { state.withLock { $0.names.keys.sorted() } }

  /// Changes the bytes of a file behind everybody's back, and durably.
  public func edit(_ name: String, _ body: (inout [UInt8]) -> Void) {
    state.withLock { state in
      guard let content = state.names[name] else { return }
      var bytes = Array(UnsafeRawBufferPointer(start: content.bytes.start, count: content.bytes.count))
      body(&bytes)
      content.replace(with: bytes.withUnsafeBytes { RawBytes($0.baseAddress, count: $0.count) })
    }
  }

  /// How many faults of each kind have happened, by name.
  public var faultCounts: [String: Int] { state.withLock { $0.faultCounts } }
}

/// Bytes in memory of their own: whole copies, since tests run unoptimised, where arrays are copied byte by byte.
final class RawBytes {
  let start: UnsafeMutableRawPointer
  let count: Int

  /// Zeros.
  init(count: Int) {
    self.count = count
    start = .allocate(byteCount: max(1, count), alignment: 512)
    memset(start, 0, count)
  }

  /// A copy.
  init(_ source: UnsafeRawPointer?, count: Int) {
    self.count = count
    start = .allocate(byteCount: max(1, count), alignment: 512)
    if let source, count > 0 { memcpy(start, source, count) }
  }

  deinit { start.deallocate() }
}

/// A file as the disk has it.
final class SimulatedContent {
  private(set) var bytes: RawBytes
  /// What the sectors written since the last sync held at that sync.
  private var synced: [Int: RawBytes] = [:]
  /// Sectors that cannot be read.
  var unreadable: Set<Int> = []

  static let sectorBytes = 512

  init(byteCount: Int) { bytes = RawBytes(count: byteCount) }

  /// The sectors of a range of bytes.
  static func sectors(_ range: Range<Int>) -> Range<Int> {
    range.lowerBound / sectorBytes..<(range.upperBound + sectorBytes - 1) / sectorBytes
  }

  /// Writes what fits of the first `count` bytes of `data`; sectors that `isKept` refuses stay as they are.
  func write(_ data: RawBytes, _ count: Int, at offset: Int, isKept: (Int) -> Bool = { _ in true }) {
    let end = min(bytes.count, offset + count)
    guard offset < end else { return }
    for sector in SimulatedContent.sectors(offset..<end) where isKept(sector) {
      let first = sector * SimulatedContent.sectorBytes
      let last = min(bytes.count, first + SimulatedContent.sectorBytes)
      if synced[sector] == nil { synced[sector] = RawBytes(bytes.start + first, count: last - first) }
      if !unreadable.isEmpty { unreadable.remove(sector) }
      let (from, to) = (max(first, offset), min(last, end))
      memcpy(bytes.start + from, data.start + (from - offset), to - from)
    }
  }

  func sync() { synced = [:] }

  /// Puts back what the sectors held that the power took, and forgets the rest.
  func lose(_ isLost: () -> Bool) {
    for (sector, old) in synced.sorted(by: { $0.key < $1.key }) where isLost() {
      memcpy(bytes.start + sector * SimulatedContent.sectorBytes, old.start, old.count)
    }
    sync()
  }

  /// Replaces the whole content, durably.
  func replace(with new: RawBytes) {
    bytes = new
    sync()
  }
}

/// The disk behind its lock.
struct SimulatedDiskState {
  var generator: SplitMix64
  var faults: StorageFaults
  let capacityBytes: Int
  var names: [String: SimulatedContent] = [:]
  var syncedNames: [String: SimulatedContent] = [:]
  var lockedNames: Set<String> = []
  var pending: [PendingOperation] = []
  var late: [(content: SimulatedContent, offset: Int, data: RawBytes, steps: Int)] = []
  /// Goes up with every crash: what was opened before it is dead.
  var era = 0
  var fullSteps = 0
  var faultCounts: [String: Int] = [:]

  init(seed: UInt64, capacityBytes: Int, faults: StorageFaults) {
    generator = SplitMix64(seed: seed)
    self.capacityBytes = capacityBytes
    self.faults = faults
  }

  /// Whether a fault with this chance happens now; counted.
  mutating func happens(_ chance: Int, _ name: String) -> Bool {
    guard chance > 0, Int.random(in: 0..<1000, using: &generator) < chance else { return false }
    faultCounts[name, default: 0] += 1
    return true
  }

  mutating func coin() -> Bool { Bool.random(using: &generator) }

  var usedBytes: Int { names.values.reduce(0) { $0 + $1.bytes.count } }

  mutating func crash() {
    for operation in pending where operation.kind == .write { tear(operation) }
    for write in late { tear(write.content, write.offset, write.data) }
    pending = []
    late = []
    // In the order of their names: a dictionary's would differ from run to run.
    for name in Set(names.keys).union(syncedNames.keys).sorted() where names[name] !== syncedNames[name] {
      if coin() { names[name] = syncedNames[name] }
    }
    for name in names.keys.sorted() {
      guard let content = names[name] else { continue }
      content.lose { coin() }
    }
    syncedNames = names
    restart()
  }

  mutating func kill() {
    // The kernel finishes what it was given.
    for operation in pending where operation.kind == .write {
      operation.content.write(operation.data, operation.data.count, at: operation.offset)
    }
    for write in late { write.content.write(write.data, write.data.count, at: write.offset) }
    pending = []
    late = []
    restart()
  }

  private mutating func restart() {
    era += 1
    lockedNames = []
    fullSteps = 0
  }

  private mutating func tear(_ operation: PendingOperation) {
    tear(operation.content, operation.offset, operation.data)
  }

  private mutating func tear(_ content: SimulatedContent, _ offset: Int, _ data: RawBytes) {
    let sectors = SimulatedContent.sectors(offset..<(offset + data.count))
    let kept = Set(sectors.filter { _ in coin() })
    content.write(data, data.count, at: offset) { kept.contains($0) }
  }

  /// Reads with the faults that reads have. A negated errno, or the number of bytes.
  mutating func read(_ content: SimulatedContent, at offset: Int, into memory: UnsafeMutableRawBufferPointer) -> Int {
    let end = min(content.bytes.count, offset + memory.count)
    guard offset < end else { return 0 }
    let range = offset..<end
    if happens(faults.rottenRead, "rot") {
      let place = content.bytes.start + Int.random(in: range, using: &generator)
      let byte = place.load(as: UInt8.self) ^ UInt8(1 << Int.random(in: 0..<8, using: &generator))
      place.storeBytes(of: byte, as: UInt8.self)
    }
    if happens(faults.latentReadError, "read error") {
      content.unreadable.insert(Int.random(in: SimulatedContent.sectors(range), using: &generator))
    }
    guard content.unreadable.isEmpty || content.unreadable.isDisjoint(with: SimulatedContent.sectors(range)) else {
      return -SimulatedErrors.inputOutput
    }
    if let target = memory.baseAddress { memcpy(target, content.bytes.start + offset, range.count) }
    return range.count
  }
}
