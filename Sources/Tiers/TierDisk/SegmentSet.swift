import RoostPrimitives
import RoostStorage

/// The segment files of a directory: opened, made where missing, removed where there are too many for the capacity.
struct SegmentSet {
  private(set) var files: [(any StorageFile)?] = []
  private(set) var headers: [SegmentHeader?] = []
  /// Fronts that were written once and cannot be read as a header of this store.
  private(set) var damagedCount = 0
  private(set) var occupiedBytes = 0
  private(set) var record: StoreRecord

  static func fileName(_ number: Int) -> String {
    let digits = String(number)
    return "segment-" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }

  /// The number in a segment's name, nil for other files.
  static func number(of name: String) -> Int? {
    guard name.hasPrefix("segment-"), let number = Int(name.dropFirst(8)), number >= 0, fileName(number) == name else {
      return nil
    }
    return number
  }

  /// Opens what there is and makes the rest.
  ///
  /// - Throws: `outOfResources` if there is no room for a single segment.
  init(
    in directory: any StorageDirectory, _ configuration: DiskTierConfiguration, record: StoreRecord,
    isRecordFound: Bool
  ) throws(RoostError) {
    self.record = record
    var present: [Int: any StorageFile] = [:]
    for name in try directory.names().sorted() {
      guard let number = SegmentSet.number(of: name) else { continue }
      present[number] = try directory.open(name)
    }
    if !isRecordFound { try learnRecord(present) }
    let count = min(configuration.usableBytes / self.record.segmentByteCount, Limits.segmentCountMax)
    for number in present.keys where number >= count {
      present[number] = nil
      try directory.remove(SegmentSet.fileName(number))
    }
    for number in 0..<count {
      if let file = present[number], file.byteCount == self.record.segmentByteCount {
        try add(file, number)
      } else if let shortage = try make(number, in: directory, configuration) {
        Log.write(.warning, "disk tier: \(shortage)")
        files += Array(repeating: nil, count: count - number)
        headers += Array(repeating: nil, count: count - number)
        break
      }
    }
    guard files.contains(where: { $0 != nil }) else {
      throw RoostError(
        .outOfResources, "there is no room for a single segment of the disk tier",
        context: [("path", directory.path), ("segment", "\(ByteCount(self.record.segmentByteCount))")])
    }
  }

  /// Takes the store's numbers from the first segment that has a good header.
  private mutating func learnRecord(_ present: [Int: any StorageFile]) throws(RoostError) {
    var isLearnt = false
    for (_, file) in present.sorted(by: { $0.key < $1.key }) {
      guard let header = try SegmentSet.front(of: file).header else { continue }
      if !isLearnt {
        record = StoreRecord(store: header.store, session: 0, segmentByteCount: header.segmentByteCount)
        isLearnt = true
      }
      // Epochs begin at the session's number times 2^20, and must go on growing.
      if header.store == record.store { record.session = max(record.session, header.epoch >> 20) }
    }
  }

  private mutating func add(_ file: any StorageFile, _ number: Int) throws(RoostError) {
    let (header, isBlank) = try SegmentSet.front(of: file)
    let isOurs = header.map {
      $0.store == record.store && $0.number == UInt32(number) && $0.segmentByteCount == record.segmentByteCount
    }
    if !(isOurs ?? isBlank) { damagedCount += 1 }
    files.append(file)
    headers.append(isOurs == true ? header : nil)
    occupiedBytes += file.allocatedBytes
  }

  /// Makes a segment; returns why it cannot, if that is for lack of room.
  private mutating func make(
    _ number: Int, in directory: any StorageDirectory, _ configuration: DiskTierConfiguration
  ) throws(RoostError) -> String? {
    let name = SegmentSet.fileName(number)
    do throws(RoostError) {
      let file = try directory.create(name, byteCount: record.segmentByteCount)
      guard occupiedBytes + file.allocatedBytes <= configuration.usableBytes else {
        try directory.remove(name)
        return "the file system's own blocks leave room for \(number) segments within the capacity"
      }
      files.append(file)
      headers.append(nil)
      occupiedBytes += file.allocatedBytes
      return nil
    } catch {
      guard error.code == .outOfResources else { throw error }
      let got = ByteCount(occupiedBytes)
      return "uses \(got) of \(configuration.capacity), because the file system is full; make room in \(directory.path)"
    }
  }

  /// The header of a segment; nil and not blank if it cannot be read.
  static func front(of file: any StorageFile) throws(RoostError) -> (header: SegmentHeader?, isBlank: Bool) {
    let front = AlignedMemory(byteCount: Limits.segmentFrontBytes)
    do throws(RoostError) {
      guard try file.read(into: front.bytes, at: 0) == Limits.segmentFrontBytes else { return (nil, false) }
    } catch {
      return (nil, false)
    }
    return SegmentHeader.decode(front.bytes)
  }
}
