import RoostPrimitives

/// What kind of client a session of the built-in workload has; see `BuiltInWorkload` for the model.
enum SessionKind: Sendable {
  case chat
  case agent
  case document

  /// A kind, with the shares that the model gives.
  static func drawn(_ random: inout SplitMix64) -> SessionKind {
    switch Int.random(in: 0..<20, using: &random) {
    case 0..<13: .chat
    case 13: .agent
    default: .document
    }
  }

  /// Blocks that the first request has behind the shared prefix.
  var openingBlocks: ClosedRange<Int> {
    switch self {
    case .chat: 1...4
    case .agent: 2...6
    case .document: 1...1
    }
  }

  /// Blocks that every further request adds.
  var blocksPerTurn: ClosedRange<Int> {
    switch self {
    case .chat, .agent: 1...4
    case .document: 1...1
    }
  }

  /// Requests on average, before the limit is applied.
  var turnsMean: Int {
    switch self {
    case .chat: 6
    case .agent: 16
    case .document: 2
    }
  }

  /// Requests at most.
  var turnsMax: Int {
    switch self {
    case .chat: 24
    case .agent: 60
    case .document: 8
    }
  }

  /// Milliseconds between two requests.
  var pauseMilliseconds: ClosedRange<Int> {
    switch self {
    case .chat: 20_000...900_000
    case .agent: 2_000...40_000
    case .document: 10_000...240_000
    }
  }
}

/// A session that is alive: what its next request will ask for, and when.
struct Session: Sendable {
  let number: Int
  let kind: SessionKind
  var time = 0
  var ids: [UInt64] = []
  var turnsLeft: Int
  /// Where everything random about this session comes from.
  var random: SplitMix64

  /// What the session with this number will be like, whatever the others are.
  init(number: Int, seed: UInt64) {
    self.number = number
    random = SplitMix64(seed: SplitMix64.mix(seed &+ SplitMix64.mix(UInt64(number))))
    kind = SessionKind.drawn(&random)
    turnsLeft = 1
    while turnsLeft < kind.turnsMax, Int.random(in: 0..<kind.turnsMean, using: &random) > 0 { turnsLeft += 1 }
  }

  func isBefore(_ other: Session) -> Bool { (time, number) < (other.time, other.number) }
}

/// Sessions by the time of their next request: a binary heap.
struct SessionQueue: Sendable {
  private var heap: [Session] = []

  /// When the first of them is due, nil if there is none.
  var nextTime: Int? { heap.first?.time }

  mutating func insert(_ session: Session) {
    heap.append(session)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].isBefore(heap[parent]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  mutating func popFirst() -> Session? {
    guard !heap.isEmpty else { return nil }
    heap.swapAt(0, heap.count - 1)
    let first = heap.removeLast()
    var parent = 0
    while true {
      var smallest = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
        if heap[child].isBefore(heap[smallest]) { smallest = child }
      }
      guard smallest != parent else { return first }
      heap.swapAt(parent, smallest)
      parent = smallest
    }
  }
}
