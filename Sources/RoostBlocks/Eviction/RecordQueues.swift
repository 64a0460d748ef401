import RoostPrimitives

/// A few queues over the records of a table, a record in one of them at a time: what FIFO-like policies are made of.
/// One array of 12 bytes a record; every operation is O(1). Not thread-safe.
///
/// Queues come in pairs: number `n` is a home, `aside(n)` takes the blocks that eviction met at the old end of it and
/// could not take, because they are held or belong to the request. So such a block is met once.
struct RecordQueues: ~Copyable {
  /// One record; all zero is a record that is in no queue. Node numbers, not record numbers.
  struct Node {
    var older: UInt32
    var newer: UInt32
    /// The queue, 0: none.
    var queue: UInt8
    /// Belongs to the request that is being decided.
    var isOwn: Bool
    /// Touches, for policies that count them.
    var touches: UInt8
  }

  /// Queues 1 to this are homes.
  private let homeCount: Int
  private let storage: ReservedArray<Node>
  private let nodes: UnsafeMutablePointer<Node>
  /// Nodes below this are the ends of queues.
  private let firstNode: UInt32
  private let counts: UnsafeMutablePointer<Int>

  /// Reserves `recordCount` records in no queue.
  init(recordCount: Int, homeCount: Int) throws(RoostError) {
    let storage = try ReservedArray<Node>(count: recordCount + 2 * homeCount + 1)
    self.homeCount = homeCount
    firstNode = UInt32(2 * homeCount + 1)
    nodes = storage.pointer
    self.storage = storage
    counts = .allocate(capacity: 2 * homeCount + 1)
    counts.initialize(repeating: 0, count: 2 * homeCount + 1)
    clear()
  }

  deinit { counts.deallocate() }

  var reservedBytes: Int { storage.reservedBytes }

  /// The queue of those that stand aside from a home.
  func aside(_ home: Int) -> Int { home + homeCount }

  /// Records in a home and aside from it.
  func count(_ home: Int) -> Int { counts[home] + counts[aside(home)] }

  /// The queue of a record, a home or an aside one; 0: none.
  func queue(of record: RecordNumber) -> Int { Int(nodes[node(record)].queue) }

  /// Whether the record is in a home or aside from it.
  func isIn(_ home: Int, _ record: RecordNumber) -> Bool {
    let queue = queue(of: record)
    return queue == home || queue == aside(home)
  }

  func touches(of record: RecordNumber) -> UInt8 { nodes[node(record)].touches }

  func setTouches(_ touches: UInt8, of record: RecordNumber) { nodes[node(record)].touches = touches }

  /// Says whether the record belongs to the request that is being decided.
  func mark(_ record: RecordNumber, isOwn: Bool) { nodes[node(record)].isOwn = isOwn }

  /// Whether the record belongs to the request that is being decided.
  func isOwn(_ record: RecordNumber) -> Bool { nodes[node(record)].isOwn }

  /// Moves a record, wherever it is, to the new end of a queue.
  func append(_ record: RecordNumber, to queue: Int) {
    detach(node(record))
    attach(node(record), before: queue, in: queue)
  }

  /// Moves a record, wherever it is, to the old end of a queue.
  func prepend(_ record: RecordNumber, to queue: Int) {
    detach(node(record))
    attach(node(record), before: Int(nodes[queue].newer), in: queue)
  }

  /// Takes a record out of its queue, if it is in one.
  func remove(_ record: RecordNumber) { detach(node(record)) }

  /// The record at the old end.
  func oldest(_ queue: Int) -> RecordNumber? {
    let node = nodes[queue].newer
    return Int(node) == queue ? nil : RecordNumber(rawValue: node - firstNode)
  }

  /// The next record towards the new end of its queue.
  func newer(than record: RecordNumber) -> RecordNumber? {
    let next = nodes[node(record)].newer
    return next < firstNode ? nil : RecordNumber(rawValue: next - firstNode)
  }

  /// Takes the oldest record that may go out of a home; those before it stand aside.
  func takeOldest(_ home: Int, _ states: BlockStates) -> RecordNumber? {
    while let record = oldest(home) {
      if states.isEvictable(record), !nodes[node(record)].isOwn {
        remove(record)
        return record
      }
      append(record, to: aside(home))
    }
    return nil
  }

  /// Puts a record that stands aside back at the old end of its home.
  func putBack(_ record: RecordNumber) {
    let queue = queue(of: record)
    if queue > homeCount { prepend(record, to: queue - homeCount) }
  }

  /// Empties all queues.
  func removeAll() {
    storage.zero()
    counts.update(repeating: 0, count: 2 * homeCount + 1)
    clear()
  }

  private func clear() {
    for end in 1..<Int(firstNode) {
      nodes[end] = Node(older: UInt32(end), newer: UInt32(end), queue: 0, isOwn: false, touches: 0)
    }
  }

  @inline(__always) private func node(_ record: RecordNumber) -> Int { Int(record.rawValue) + Int(firstNode) }

  @inline(__always) private func detach(_ node: Int) {
    let queue = Int(nodes[node].queue)
    guard queue != 0 else { return }
    let (older, newer) = (nodes[node].older, nodes[node].newer)
    nodes[Int(older)].newer = newer
    nodes[Int(newer)].older = older
    nodes[node].queue = 0
    counts[queue] -= 1
  }

  @inline(__always) private func attach(_ node: Int, before newer: Int, in queue: Int) {
    let older = nodes[newer].older
    nodes[node].older = older
    nodes[node].newer = UInt32(newer)
    nodes[node].queue = UInt8(queue)
    nodes[Int(older)].newer = UInt32(node)
    nodes[newer].older = UInt32(node)
    counts[queue] += 1
  }

  /// What is wrong: links must lead both ways, counts must be right, and records of the homes that hold residents
  /// must be resident, the others not.
  func checkInvariants(_ states: BlockStates, residents: Set<Int>) -> [String] {
    var problems: [String] = []
    for queue in 1..<Int(firstNode) {
      let home = queue > homeCount ? queue - homeCount : queue
      var count = 0
      var previous = UInt32(queue)
      var node = nodes[queue].newer
      while Int(node) != queue, count <= storage.count {
        let record = RecordNumber(rawValue: node - firstNode)
        if nodes[Int(node)].older != previous { problems.append("record \(record.rawValue) does not point back") }
        if Int(nodes[Int(node)].queue) != queue { problems.append("record \(record.rawValue) is in a strange queue") }
        if states.isResident(record) != residents.contains(home) {
          problems.append("record \(record.rawValue) is in queue \(queue), the table disagrees")
        }
        if nodes[Int(node)].isOwn { problems.append("record \(record.rawValue) still belongs to a request") }
        previous = node
        node = nodes[Int(node)].newer
        count += 1
      }
      if count != counts[queue] || nodes[queue].older != previous { problems.append("queue \(queue) is broken") }
    }
    return problems
  }
}
