/// What no policy can exceed: the prefix hits of a cache that knows the future.
///
/// Belady's rule with bypass. After each request its blocks compete with those that are there; the ones whose next use
/// is furthest away go, deeper ones first among equals, and what is never used again does not stay at all. Ids are
/// prefix-chained, so a block's next use is never before its parent's: what stays is closed under prefixes, and the hits
/// of this rule, which is optimal for single blocks, are prefix hits.
public struct OfflineBound: Sendable {
  private let trace: RecordedTrace
  /// For each reference the request of the block's next use; `never` at the end.
  private let nextUses: [UInt32]
  private static let never = UInt32.max

  /// Looks through a trace once; then each size takes one more pass.
  public init(_ trace: RecordedTrace) {
    self.trace = trace
    var nextUses = [UInt32](repeating: OfflineBound.never, count: trace.references.count)
    var following = [UInt32](repeating: OfflineBound.never, count: trace.uniqueCount)
    for number in trace.requests.indices.reversed() {
      for place in trace.requests[number].blocks { nextUses[place] = following[Int(trace.references[place])] }
      for place in trace.requests[number].blocks { following[Int(trace.references[place])] = UInt32(number) }
    }
    self.nextUses = nextUses
  }

  /// Prefix hits with that many slots. O(references x log(slots)).
  public func hits(slotCount: Int) -> Int {
    var hits = 0
    var residentCount = 0
    // The next use that a resident block waits for, `never` for others.
    var awaited = [UInt32](repeating: OfflineBound.never, count: trace.uniqueCount)
    var heap = FurthestFirst()
    for entry in trace.requests {
      for (depth, place) in entry.blocks.enumerated() {
        let block = Int(trace.references[place])
        if awaited[block] != OfflineBound.never {
          hits += 1
          residentCount -= 1
        }
        awaited[block] = nextUses[place]
        guard nextUses[place] != OfflineBound.never else { continue }
        residentCount += 1
        heap.push(FurthestFirst.Entry(nextUse: nextUses[place], depth: UInt32(depth), block: UInt32(block)))
      }
      while residentCount > slotCount, let furthest = heap.pop() {
        guard awaited[Int(furthest.block)] == furthest.nextUse else { continue }
        awaited[Int(furthest.block)] = OfflineBound.never
        residentCount -= 1
      }
      if heap.count > 2 * residentCount + 4096 { heap.sweep { awaited[Int($0.block)] == $0.nextUse } }
    }
    return hits
  }
}

/// A binary heap of blocks, the one to evict first on top.
private struct FurthestFirst {
  struct Entry {
    var nextUse: UInt32
    var depth: UInt32
    var block: UInt32

    var order: UInt64 { UInt64(nextUse) << 32 | UInt64(depth) }
  }

  private var entries: [Entry] = []
  var count: Int { entries.count }

  mutating func push(_ entry: Entry) {
    entries.append(entry)
    var place = entries.count - 1
    while place > 0, entries[(place - 1) / 2].order < entry.order {
      entries[place] = entries[(place - 1) / 2]
      place = (place - 1) / 2
    }
    entries[place] = entry
  }

  mutating func pop() -> Entry? {
    guard let first = entries.first else { return nil }
    let last = entries.removeLast()
    if !entries.isEmpty { sink(last, from: 0) }
    return first
  }

  /// Keeps the entries that are still true.
  mutating func sweep(_ isCurrent: (Entry) -> Bool) {
    entries.removeAll { !isCurrent($0) }
    for place in stride(from: entries.count / 2 - 1, through: 0, by: -1) { sink(entries[place], from: place) }
  }

  private mutating func sink(_ entry: Entry, from start: Int) {
    var place = start
    while true {
      var child = 2 * place + 1
      guard child < entries.count else { break }
      if child + 1 < entries.count, entries[child + 1].order > entries[child].order { child += 1 }
      if entries[child].order <= entry.order { break }
      entries[place] = entries[child]
      place = child
    }
    entries[place] = entry
  }
}
