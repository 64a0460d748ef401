import RoostBlocks
import RoostPool
import RoostPrimitives

/// Something that happened to a block, for whoever keeps an index of many caches.
public struct BlockEvent: Sendable, Hashable {
  /// What happened.
  public enum Kind: UInt8, Sendable {
    /// It can be found from now on.
    case stored
    /// It cannot be found any more.
    case removed
  }

  /// What happened.
  public var kind: Kind
  /// To which block.
  public var key: Key
}

/// The events that nobody has taken yet: derived from what the rows of the slot table said before and are about to say.
/// Bounded; the oldest go first and are counted.
struct EventLog {
  private let countMax: Int
  private var events: [BlockEvent] = []
  private var first = 0
  private(set) var droppedCount = 0

  init(countMax: Int) { self.countMax = countMax }

  var isActive: Bool { countMax > 0 }

  /// A row is about to change.
  mutating func note(_ change: SlotChange, before row: SlotRow?) {
    let old = row.flatMap { $0.state == .ready || $0.state == .sealed ? $0 : nil }
    let new = change.state == .ready ? change.key : nil
    if let old, old.key == new, old.generation == change.generation { return }
    if let old { add(BlockEvent(kind: .removed, key: old.key)) }
    if let new { add(BlockEvent(kind: .stored, key: new)) }
  }

  mutating func take(_ count: Int) -> [BlockEvent] {
    let end = min(events.count, first + max(0, count))
    let taken = Array(events[first..<end])
    first = end
    compact()
    return taken
  }

  private mutating func add(_ event: BlockEvent) {
    events.append(event)
    guard events.count - first > countMax else { return }
    first += 1
    droppedCount += 1
    compact()
  }

  private mutating func compact() {
    guard first * 2 > events.count else { return }
    events.removeFirst(first)
    first = 0
  }
}

extension Engine {
  /// Takes the events that have come, oldest first, at most `countMax`; none unless the configuration asks for them.
  /// Pages that were adopted are not among them.
  public func takeEvents(countMax: Int) -> [BlockEvent] { state.withLock { $0.events.take(countMax) } }
}
