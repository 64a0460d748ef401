import RoostPrimitives
import RoostStorage

/// The disk tier behind its lock: decides, starts operations, and takes in what has completed. Never waits for a page.
///
/// THE WRITE PROTOCOL. The invariant: *bytes are given out for a name only if this store wrote them for this name, and
/// their XXH3-128 equals the seal that was recorded with them.* It rests on these rules and on nothing else, in
/// particular on no order in which a drive makes writes durable:
///
/// 1. Header and page are written by one write. The header holds the name, where it stands (store, segment, slot, epoch)
///    and the page's seal, and has a check over all of that. A header that fails its check, or stands elsewhere, means
///    nothing: the slot is free.
/// 2. A page is found in memory only after its whole write has completed, and its sync if that is promised. After a restart it is found if its header is
///    good. If the header reached the drive and the page did not, or not all of it, or somebody else's, the seal does not
///    match: the reader gets `corrupt`, the slot is set aside.
/// 3. Every read is compared with the seal in memory, which is the one of the write itself or of a good header. So a
///    write that was lost, or went elsewhere, or came late, is found whatever it left.
/// 4. A slot is given to a new page only when nobody reads it, and to nobody else until its write has ended.
/// 5. When a segment is cut into other slots its epoch grows, in its own header, before anything is written to them:
///    headers of the earlier cutting mean nothing from then on. If that header is lost, the new slots' headers mean
///    nothing, and what they overwrote fails its seal.
/// 6. A page that only its header vouches for is not taken for written when it is written again: it is written anew, and
///    the earlier copy given up after that.
/// 7. A removed page's header is replaced by a note. Of two good headers of one name the one with the higher generation
///    counts, and the other gets a note.
final class DiskCore {
  let directory: any StorageDirectory
  let configuration: DiskTierConfiguration
  var lock: (any StorageFile)?
  let queue: any StorageQueue
  var record: StoreRecord
  /// Whether the record was there; else its numbers come from the first good segment.
  let isRecordFound: Bool
  var table: PageTable
  var files: [(any StorageFile)?]
  var ledger = BatchLedger()
  var gate = WriteGate.open
  var board = FlightBoard()
  var waiting: [Int] = []
  var waitingHead = 0
  var startedCount = 0
  var syncs: [TierTicket: SyncWait] = [:]
  var unsyncedSegments: Set<Int> = []
  /// Pages that were forgotten while they were read or written: they are overwritten once nobody does.
  var doomed: Set<UInt32> = []
  /// Forgotten pages that nobody uses, to be overwritten.
  var chores: [UInt32] = []
  /// Why a forgotten page could not be overwritten.
  var forgetError: RoostError?
  var generation: UInt64 = 0
  var damagedCount = 0
  var occupiedBytes = 0
  /// Segments that are being cut without the lock.
  var cuttingCount = 0
  var isRecovering = false
  var isRecovered = false
  var isClosed = false
  /// Pollers that check pages without the lock.
  var checkingCount = 0
  /// The queue is `close`'s alone from now on.
  var isLettingGo = false
  private var headers: [AlignedMemory] = []
  private var bounces: [AlignedMemory] = []
  private var completions: [StorageCompletion] = []

  /// The pages of a batch that wait for a sync.
  struct SyncWait {
    var unwrittenCount: Int
    var unsyncedCount = 0
    var written: [Flight] = []
    var segments: Set<Int> = []
    var error: RoostError?
  }

  init(_ directory: any StorageDirectory, _ configuration: DiskTierConfiguration) throws(RoostError) {
    try configuration.check()
    self.directory = directory
    self.configuration = configuration
    lock = try directory.lock("lock")
    queue = try directory.makeQueue(depth: configuration.depth)
    if let found = try DiskCore.storedRecord(in: directory) {
      record = found
      isRecordFound = true
    } else {
      isRecordFound = false
      var generator = SplitMix64(seed: configuration.seed ?? UInt64.random(in: 0 ... .max))
      record = StoreRecord(
        store: .random(using: &generator), session: 0, segmentByteCount: configuration.segmentByteCount)
    }
    table = try PageTable(segmentCount: 0, segmentByteCount: record.segmentByteCount)
    files = []
  }

  private static func storedRecord(in directory: any StorageDirectory) throws(RoostError) -> StoreRecord? {
    do throws(RoostError) {
      return try StoreRecord.read(from: directory.open(StoreRecord.fileName))
    } catch {
      // Not there, or a bad sector: the segments know what matters.
      if error.code == .notFound || error.code == .system { return nil }
      throw error
    }
  }

  /// Whether nothing is under way or left to do.
  var isIdle: Bool { board.count == 0 && chores.isEmpty && cuttingCount == 0 }

  // MARK: Starting operations

  /// Puts a flight in the queue; it starts when its turn comes.
  func enqueue(_ flight: Flight) { waiting.append(board.add(flight)) }

  var waitingCount: Int { waiting.count - waitingHead }

  /// Starts what waits, as far as the queue's depth allows.
  func pump() {
    guard !isLettingGo else { return }
    var operations: [StorageOperation] = []
    while startedCount < configuration.depth, waitingHead < waiting.count {
      let number = waiting[waitingHead]
      waitingHead += 1
      if let operation = start(number) {
        operations.append(operation)
        startedCount += 1
      }
    }
    if waitingHead == waiting.count {
      waiting.removeAll(keepingCapacity: true)
      waitingHead = 0
    }
    // Half of the depth at most, and only while nobody waits.
    while waiting.isEmpty, startedCount < (configuration.depth + 1) / 2, let record = chores.popLast() {
      if let operation = start(board.add(erasure(of: record))) {
        operations.append(operation)
        startedCount += 1
      }
    }
    if !operations.isEmpty { queue.submit(operations) }
  }

  private func start(_ number: Int) -> StorageOperation? {
    guard var flight = board[number], let file = files[table.segment(of: flight.record)] else { return nil }
    let offset = table.offset(of: flight.record)
    let token = board.token(for: number)
    var operation: StorageOperation
    switch flight.role {
    case .sync: operation = StorageOperation(.sync, token: token, file: file)
    case .note(let state):
      operation = StorageOperation(.write, token: token, file: file, offset: offset)
      let header = takeHeader()
      encode(flight.record, state, into: header.bytes)
      flight.header = header
      operation.first = header.bytes
      if let zeros = flight.bounce { operation.second = zeros.bytes }
    case .write:
      operation = StorageOperation(.write, token: token, file: file, offset: offset)
      prepareWrite(&flight, &operation)
    case .read:
      operation = StorageOperation(.read, token: token, file: file, offset: offset + Limits.granuleBytes)
      prepareRead(&flight, &operation)
    }
    flight.operation = operation
    board[number] = flight
    return operation
  }

  private func prepareWrite(_ flight: inout Flight, _ operation: inout StorageOperation) {
    if isAligned(flight.memory, flight.facts.byteCount) {
      let header = takeHeader()
      encode(flight.record, .live, into: header.bytes)
      flight.header = header
      operation.first = header.bytes
      operation.second = UnsafeMutableRawBufferPointer(rebasing: flight.memory[..<flight.facts.byteCount])
      return
    }
    let padded = rounded(flight.facts.byteCount)
    let bounce = takeBounce(Limits.granuleBytes + padded)
    encode(flight.record, .live, into: UnsafeMutableRawBufferPointer(rebasing: bounce.bytes[..<Limits.granuleBytes]))
    let page = UnsafeMutableRawBufferPointer(
      rebasing: bounce.bytes[Limits.granuleBytes..<(Limits.granuleBytes + padded)])
    page.copyMemory(from: UnsafeRawBufferPointer(rebasing: flight.memory[..<flight.facts.byteCount]))
    // What lay in the memory before belongs to another page.
    UnsafeMutableRawBufferPointer(rebasing: page[flight.facts.byteCount...]).initializeMemory(
      as: UInt8.self, repeating: 0)
    flight.bounce = bounce
    operation.first = UnsafeMutableRawBufferPointer(rebasing: bounce.bytes[..<(Limits.granuleBytes + padded)])
  }

  private func prepareRead(_ flight: inout Flight, _ operation: inout StorageOperation) {
    if isAligned(flight.memory, flight.facts.byteCount) {
      operation.first = UnsafeMutableRawBufferPointer(rebasing: flight.memory[..<flight.facts.byteCount])
    } else {
      let bounce = takeBounce(rounded(flight.facts.byteCount))
      flight.bounce = bounce
      operation.first = UnsafeMutableRawBufferPointer(rebasing: bounce.bytes[..<rounded(flight.facts.byteCount)])
    }
  }

  private func isAligned(_ memory: UnsafeMutableRawBufferPointer, _ byteCount: Int) -> Bool {
    let mask = queue.alignment - 1
    return Int(bitPattern: memory.baseAddress) & mask == 0 && byteCount & mask == 0
  }

  private func rounded(_ byteCount: Int) -> Int { (byteCount + queue.alignment - 1) & ~(queue.alignment - 1) }

  /// The header of what is in a slot now.
  private func encode(_ record: UInt32, _ state: PageHeader.State, into granule: UnsafeMutableRawBufferPointer) {
    let page = table.records[Int(record)]
    let header = PageHeader(
      state: state, name: table.name(of: record), facts: page.facts, place: table.place(of: record),
      epoch: table.segments[table.segment(of: record)].epoch, generation: page.generation,
      writtenAt: configuration.wallSeconds())
    header.encode(into: granule, store: self.record.store)
  }

  private func takeHeader() -> AlignedMemory { headers.popLast() ?? AlignedMemory(byteCount: Limits.granuleBytes) }

  private func takeBounce(_ byteCount: Int) -> AlignedMemory {
    guard byteCount <= Limits.bounceBytes else { return AlignedMemory(byteCount: byteCount) }
    if let bounce = bounces.popLast() { return bounce }
    let bounce = AlignedMemory(byteCount: Limits.bounceBytes)
    queue.register(bounce.bytes)
    return bounce
  }

  func giveBack(_ flight: Flight) {
    if let header = flight.header { headers.append(header) }
    if let bounce = flight.bounce, bounce.bytes.count == Limits.bounceBytes { bounces.append(bounce) }
  }

  // MARK: Completions

  /// Takes in what has completed. Returns the pages that arrived, for `Arrival.check` outside the lock and `settle`.
  func reap() -> [Arrival] {
    guard !isLettingGo else { return [] }
    completions.removeAll(keepingCapacity: true)
    queue.poll(into: &completions)
    var arrivals: [Arrival] = []
    var again: [StorageOperation] = []
    for completion in completions {
      guard let number = board.number(of: completion.token), let flight = board[number] else { continue }
      switch progress(flight, completion.result) {
      case .continued(let rest):
        var rest = rest
        rest.token = board.token(for: number)
        board[number]?.operation = rest
        board[number]?.continuationCount += 1
        again.append(rest)
      case .complete:
        startedCount -= 1
        if case .read = flight.role {
          arrivals.append(
            Arrival(flight: number, memory: flight.memory, bounce: flight.bounce, facts: flight.facts))
        } else {
          end(number, flight, nil)
        }
      case .failed(let errorNumber):
        startedCount -= 1
        end(number, flight, errorNumber)
      }
    }
    if !again.isEmpty { queue.submit(again) }
    return arrivals
  }

  private enum Progress {
    case complete
    case continued(StorageOperation)
    case failed(CInt)
  }

  /// What the result of an operation means. Fewer bytes than asked for are never taken for all of them.
  private func progress(_ flight: Flight, _ result: Int) -> Progress {
    guard let operation = flight.operation else { return .complete }
    if case .sync = operation.kind { return result < 0 ? .failed(CInt(clamping: -result)) : .complete }
    if result >= operation.byteCount { return .complete }
    let mayContinue = flight.continuationCount < Limits.continuationCountMax
    if result < 0 {
      let isPassing = -result == Int(DiskErrors.again) || -result == Int(DiskErrors.interrupted)
      return isPassing && mayContinue ? .continued(operation) : .failed(CInt(clamping: -result))
    }
    // The rest starts at a place that the drive accepts. Nothing at all is the end of the file, where none should be.
    guard result > 0, mayContinue else { return .failed(DiskErrors.inputOutput) }
    return .continued(operation.remainder(after: result & ~(queue.alignment - 1)))
  }
}
