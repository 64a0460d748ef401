import RoostPrimitives
import RoostStorage

/// One operation of a tier, from its turn in the queue to its last byte.
struct Flight {
  enum Role {
    /// A page for a batch.
    case read
    /// A page of a batch.
    case write
    /// A header alone, which says that there is no page any more.
    case note(PageHeader.State)
    /// A segment that a batch wrote to.
    case sync
  }

  var role: Role
  /// The batch that waits for it, nil if nobody does.
  var ticket: TierTicket?
  /// The place in the batch.
  var index = 0
  /// The slot; for a sync, the first of its segment.
  var record: UInt32
  /// Write: the slot of an earlier copy, which is given up once this one is safe.
  var replaced: UInt32?
  /// The caller's memory.
  var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  var facts = PageFacts(byteCount: 0, seal: Seal(low: 0, high: 0))
  /// What is left to do, once it has started.
  var operation: StorageOperation?
  /// The header of a write or note.
  var header: AlignedMemory?
  /// Memory in between, where the caller's is not as the drive wants it.
  var bounce: AlignedMemory?
  var continuationCount = 0
  /// A note that also overwrites the page, which was forgotten.
  var isErasing = false
}

/// A page that has arrived, to be checked outside the lock.
struct Arrival: @unchecked Sendable {
  // The memory is the flight's until it ends.
  let flight: Int
  let memory: UnsafeMutableRawBufferPointer
  let bounce: AlignedMemory?
  let facts: PageFacts
  private(set) var isIntact = false

  init(flight: Int, memory: UnsafeMutableRawBufferPointer, bounce: AlignedMemory?, facts: PageFacts) {
    self.flight = flight
    self.memory = memory
    self.bounce = bounce
    self.facts = facts
  }

  /// Compares the bytes with the seal that they were written with; what passes goes to the caller's memory.
  mutating func check() {
    let bytes = UnsafeRawBufferPointer(rebasing: (bounce?.bytes ?? memory)[..<facts.byteCount])
    isIntact = Seal(over: bytes) == facts.seal
    if isIntact, bounce != nil { memory.copyMemory(from: bytes) }
  }
}

/// Numbers flights; a number is used again only with another token.
struct FlightBoard {
  private(set) var flights: [Flight?] = []
  private var free: [Int] = []
  private var sequence: UInt64 = 0
  private var tokens: [UInt64] = []
  private(set) var count = 0

  subscript(number: Int) -> Flight? {
    get { flights[number] }
    set { flights[number] = newValue }
  }

  mutating func add(_ flight: Flight) -> Int {
    count += 1
    if let number = free.popLast() {
      flights[number] = flight
      return number
    }
    flights.append(flight)
    tokens.append(0)
    return flights.count - 1
  }

  mutating func remove(_ number: Int) {
    flights[number] = nil
    tokens[number] = 0
    free.append(number)
    count -= 1
  }

  /// A token for an operation that starts now.
  mutating func token(for number: Int) -> UInt64 {
    sequence += 1
    tokens[number] = sequence << 24 | UInt64(number)
    return tokens[number]
  }

  /// The flight that a completion is of, nil for one that nobody waits for.
  func number(of token: UInt64) -> Int? {
    let number = Int(token & 0xFF_FFFF)
    return number < tokens.count && tokens[number] == token ? number : nil
  }
}
