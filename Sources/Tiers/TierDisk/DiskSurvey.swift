import RoostPrimitives
import RoostStorage

/// Looks at the directory of a disk tier without being one: what is in it, what is damaged, and, if asked, repairs it.
/// Believes nothing that it reads; whatever the damage, it ends and says what it found.
public final class DiskSurvey {
  /// What is known of one identity.
  public struct IdentityShare: Sendable {
    /// Pages of it.
    public var pageCount = 0
    /// Their bytes.
    public var byteCount = 0
    /// When the first of them was written, in seconds since 1970.
    public var oldest = UInt64.max
    /// When the last of them was written.
    public var newest: UInt64 = 0
  }

  /// What a slot holds.
  public enum SlotKind: Sendable {
    /// Nothing.
    case empty
    /// A page.
    case page
    /// A page that was set aside.
    case quarantined
    /// A header that cannot be believed.
    case damaged
  }

  /// One file of slots.
  public struct SegmentReport: Sendable {
    /// The number in its name.
    public let number: Int
    /// Bytes that a slot holds; 0 if the segment was never cut.
    public let slotByteCount: Int
    /// What the slots hold.
    public internal(set) var slots: [SlotKind] = []
  }

  /// How much is to be done.
  public enum Depth: Sendable {
    /// Headers only.
    case headers
    /// Every byte of every page.
    case pages
    /// Every byte, and what is bad is freed.
    case repairing
    /// Headers only, and every slot that says it is of this identity is overwritten.
    case forgetting(IdentityDigest)
  }

  /// The segments, in order.
  public private(set) var segments: [SegmentReport] = []
  /// The identities.
  public private(set) var identities: [IdentityDigest: IdentityShare] = [:]
  /// What is damaged, one sentence each.
  public private(set) var damages: [String] = []
  /// Pages whose bytes were compared with their seal.
  public private(set) var checkedCount = 0
  /// Slots that were freed.
  public private(set) var freedCount = 0
  /// Bytes of all files, as the file system counts them.
  public private(set) var occupiedBytes = 0
  /// Whether there is a snapshot: the last owner closed the tier.
  public private(set) var hasSnapshot = false

  private let directory: DiskDirectory
  private let depth: Depth
  private var lock: (any StorageFile)?

  /// Opens the directory. More than headers needs it alone.
  ///
  /// - Throws: `notFound` if it is not there or no disk tier; `busy` if a tier has it open.
  public init(_ path: String, _ depth: Depth) throws(RoostError) {
    directory = try DiskDirectory(existing: path)
    self.depth = depth
    let names = try directory.names()
    guard names.contains(where: { SegmentSet.number(of: $0) != nil }) else {
      throw RoostError(.notFound, "there is no disk tier in this directory", context: [("path", path)])
    }
    if case .headers = depth {} else { lock = try directory.lock("lock") }
  }

  private var readsPages: Bool {
    switch depth {
    case .headers, .forgetting: false
    case .pages, .repairing: true
    }
  }

  private var isChanging: Bool {
    switch depth {
    case .headers, .pages: false
    case .repairing, .forgetting: true
    }
  }

  /// Pages found.
  public var pageCount: Int { identities.values.reduce(0) { $0 + $1.pageCount } }
  /// Their bytes.
  public var pageBytes: Int { identities.values.reduce(0) { $0 + $1.byteCount } }

  /// Looks at everything. `progress` hears after each segment how many of how many are done; `answered`, after each slot,
  /// that the drive answers: a drive that hangs holds the caller for as long.
  public func run(
    answered: () -> Void = {}, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(RoostError) {
    let names = try directory.names().sorted()
    hasSnapshot = names.contains(Snapshot.fileName)
    let numbers = names.compactMap(SegmentSet.number(of:))
    let store = findStore(numbers)
    // A tier that was changed is not what the snapshot says.
    if isChanging {
      try directory.remove(Snapshot.fileName)
      try directory.sync()
    }
    for name in names where SegmentSet.number(of: name) == nil {
      occupiedBytes += (try? directory.open(name))?.allocatedBytes ?? 0
      answered()
    }
    for (index, number) in numbers.enumerated() {
      survey(number, store, answered)
      progress(index + 1, numbers.count)
    }
  }

  private func findStore(_ numbers: [Int]) -> StoreID? {
    if let file = try? directory.open(StoreRecord.fileName), let record = try? StoreRecord.read(from: file) {
      return record.store
    }
    damages.append("store: missing or damaged; the next start makes it anew from the segments")
    for number in numbers {
      guard let file = try? directory.open(SegmentSet.fileName(number)),
        let header = (try? SegmentSet.front(of: file))?.header
      else { continue }
      return header.store
    }
    return nil
  }

  private func survey(_ number: Int, _ store: StoreID?, _ answered: () -> Void) {
    let name = SegmentSet.fileName(number)
    guard let file = try? directory.open(name), let front = try? SegmentSet.front(of: file) else {
      damages.append("\(name): cannot be opened")
      return
    }
    occupiedBytes += file.allocatedBytes
    guard let header = front.header else {
      if !front.isBlank { damages.append("\(name): its header is damaged; its pages are lost") }
      segments.append(SegmentReport(number: number, slotByteCount: 0))
      return
    }
    guard header.store == store, header.number == UInt32(number), header.segmentByteCount == file.byteCount else {
      damages.append("\(name): is of another tier, or was cut short; its pages are lost")
      segments.append(SegmentReport(number: number, slotByteCount: 0))
      return
    }
    var report = SegmentReport(number: number, slotByteCount: header.slotByteCount)
    let count = SegmentHeader.slotCount(header.slotByteCount, segmentByteCount: header.segmentByteCount)
    let memory = AlignedMemory(byteCount: Limits.granuleBytes)
    for index in 0..<count {
      let place = SlotPlace(segment: UInt32(number), index: UInt32(index))
      report.slots.append(kind(of: place, file, header, memory))
      answered()
    }
    segments.append(report)
  }

  private func kind(
    of place: SlotPlace, _ file: any StorageFile, _ segment: SegmentHeader, _ memory: AlignedMemory
  ) -> SlotKind {
    let name = "\(SegmentSet.fileName(Int(place.segment))), slot \(place.index)"
    let offset = SegmentHeader.offset(of: place.index, slotByteCount: segment.slotByteCount)
    switch HeaderScan.header(at: place, file, segment, memory) {
    case .failure(let error) where error.fault == .empty || error.fault == .elsewhere: return .empty
    case .failure(let error):
      damages.append("\(name): the header is \(error.fault == .unreadable ? "unreadable" : "torn or damaged")")
      return free(file, offset) ? .empty : .damaged
    case .success(let header):
      if case .forgetting(header.name.identity) = depth, erase(header, file, offset) { return .empty }
      switch header.state {
      case .removed: return .empty
      case .quarantined: return free(file, offset) ? .empty : .quarantined
      case .live: return check(header, file, offset, name)
      }
    }
  }

  /// Counts a page, after a look at its bytes if that is wanted.
  private func check(_ header: PageHeader, _ file: any StorageFile, _ offset: Int, _ name: String) -> SlotKind {
    if readsPages {
      let page = AlignedMemory(byteCount: header.facts.byteCount)
      let count = try? file.read(into: page.bytes, at: offset + Limits.granuleBytes)
      checkedCount += 1
      guard count == header.facts.byteCount, Seal(over: UnsafeRawBufferPointer(page.bytes)) == header.facts.seal else {
        damages.append("\(name): the page \(count == nil ? "cannot be read" : "does not match its seal")")
        return free(file, offset) ? .empty : .damaged
      }
    }
    var share = identities[header.name.identity] ?? IdentityShare()
    share.pageCount += 1
    share.byteCount += header.facts.byteCount
    share.oldest = min(share.oldest, header.writtenAt)
    share.newest = max(share.newest, header.writtenAt)
    identities[header.name.identity] = share
    return .page
  }

  /// Overwrites a header with zeros, if this is a repair. False if the slot is as it was.
  private func free(_ file: any StorageFile, _ offset: Int) -> Bool {
    guard case .repairing = depth else { return false }
    return overwrite(file, offset, byteCount: Limits.granuleBytes)
  }

  /// Overwrites a header and what follows it. The header goes last: until then it can be found again.
  private func erase(_ header: PageHeader, _ file: any StorageFile, _ offset: Int) -> Bool {
    let byteCount = SlotSizes.granules(header.facts.byteCount)
    guard overwrite(file, offset + Limits.granuleBytes, byteCount: byteCount) else { return false }
    freedCount -= 1
    return overwrite(file, offset, byteCount: Limits.granuleBytes)
  }

  private func overwrite(_ file: any StorageFile, _ offset: Int, byteCount: Int) -> Bool {
    let zeros = AlignedMemory(byteCount: byteCount)
    do throws(RoostError) {
      try file.write(UnsafeRawBufferPointer(zeros.bytes), at: offset)
      try file.sync()
    } catch {
      damages.append("a slot cannot be overwritten: \(error)")
      return false
    }
    freedCount += 1
    return true
  }
}
