/// The segments that may lose a block, the one with the lowest key first: a binary heap in memory of its own, because a
/// request takes from a few of some hundred.
struct CandidateQueue: ~Copyable {
  /// A segment.
  struct Candidate {
    /// Its index, or the age of its oldest block.
    var key: Double
    /// Decides between equal keys.
    var tie: UInt32
    /// The row of its class in the model.
    var row: UInt16
    var bin: UInt8

    @inline(__always) func precedes(_ other: Candidate) -> Bool {
      key != other.key ? key < other.key : tie < other.tie
    }
  }

  private var entries: UnsafeMutablePointer<Candidate>
  private var capacity: Int
  private(set) var count = 0

  init() {
    capacity = 1 << 10
    entries = .allocate(capacity: capacity)
  }

  deinit { entries.deallocate() }

  mutating func removeAll() { count = 0 }

  /// The first one, if any.
  var first: Candidate? { count > 0 ? entries[0] : nil }

  /// Adds one without an order; `order` must follow.
  @inline(__always) mutating func append(_ candidate: Candidate) {
    if count == capacity { grow() }
    (entries + count).initialize(to: candidate)
    count += 1
  }

  /// Makes a heap of what was appended.
  func order() {
    for index in stride(from: count / 2 - 1, through: 0, by: -1) { sink(entries[index], from: index, count) }
  }

  /// Takes out the first one.
  mutating func removeFirst() {
    count -= 1
    if count > 0 { sink(entries[count], from: 0, count) }
  }

  /// Gives the first one another key.
  func replaceFirst(_ candidate: Candidate) { sink(candidate, from: 0, count) }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Candidate>.allocate(capacity: 2 * capacity)
    larger.moveInitialize(from: entries, count: count)
    entries.deallocate()
    entries = larger
    capacity *= 2
  }

  private func sink(_ candidate: Candidate, from start: Int, _ count: Int) {
    var hole = start
    while true {
      var child = 2 * hole + 1
      guard child < count else { break }
      if child + 1 < count, entries[child + 1].precedes(entries[child]) { child += 1 }
      if candidate.precedes(entries[child]) { break }
      entries[hole] = entries[child]
      hole = child
    }
    entries[hole] = candidate
  }
}
