import RoostConformance
import RoostPrimitives

/// ARC in arrays, oldest first. A request's blocks are counted from tail to head, as the textbook counts references; a
/// block of the request that has been counted is not evicted for the next one.
struct NaiveAdaptiveReplacement: EvictionModel {
  private let slots: Int
  private var once: [Key] = []
  private var again: [Key] = []
  private var onceGhosts: [Key] = []
  private var againGhosts: [Key] = []
  private var target = 0.0

  init(slots: Int) { self.slots = slots }

  var residents: Set<Key> { Set(once + again) }

  /// What is known of a request while its blocks are counted.
  private struct Count {
    let own: Set<Key>
    var room: Int
    /// Lengths of the textbook's lists beyond those of the arrays: blocks of the request.
    var arrived = 0
    var inAgain = 0
    var ghostsOfOnce = 0
    var ghostsOfAgain = 0
    /// Held, and evicted by the textbook before their turn: from T1 or from T2.
    var lost: [Key: Bool] = [:]
    /// Ghosts of B1 or of B2 that came back.
    var back: [Key: Bool] = [:]
  }

  mutating func store(_ keys: [Key]) {
    let held = residents
    var count = Count(own: Set(keys), room: slots - held.count)
    for key in keys.reversed() {
      if held.contains(key) { countHeld(key, &count) } else { countNewcomer(key, &count) }
    }
    var (left, admitted) = (count.arrived, Set<Key>())
    for key in keys where !held.contains(key) {
      if count.back[key] == nil {
        if left == 0 { break }
        left -= 1
      }
      admitted.insert(key)
    }
    for key in keys.reversed() {
      if held.contains(key) || admitted.contains(key) && count.back[key] != nil {
        again.append(key)
      } else if admitted.contains(key) {
        once.append(key)
      } else if count.back[key] == false {
        againGhosts.append(key)
      } else if !onceGhosts.contains(key), !againGhosts.contains(key) {
        onceGhosts.append(key)
      }
    }
    onceGhosts.removeFirst(max(0, onceGhosts.count - max(0, slots - once.count)))
    againGhosts.removeFirst(max(0, residents.count + onceGhosts.count + againGhosts.count - 2 * slots))
  }

  private mutating func countHeld(_ key: Key, _ count: inout Count) {
    if let wasOnce = count.lost[key] {
      moveTarget(wasOnce: wasOnce, count)
      _ = replace(isAgainGhost: !wasOnce, &count)
      if wasOnce { count.ghostsOfOnce -= 1 } else { count.ghostsOfAgain -= 1 }
    } else {
      once.removeAll { $0 == key }
      again.removeAll { $0 == key }
    }
    count.inAgain += 1
  }

  private mutating func countNewcomer(_ key: Key, _ count: inout Count) {
    let wasOnce = onceGhosts.contains(key)
    let isGhost = wasOnce || againGhosts.contains(key)
    if isGhost {
      moveTarget(wasOnce: wasOnce, count)
    } else if makeWay(&count) {
      count.arrived += 1
      return
    }
    if count.room > 0 {
      count.room -= 1
    } else if !replace(isAgainGhost: isGhost && !wasOnce, &count) {
      return
    }
    if isGhost {
      onceGhosts.removeAll { $0 == key }
      againGhosts.removeAll { $0 == key }
      count.back[key] = wasOnce
      count.inAgain += 1
    } else {
      count.arrived += 1
    }
  }

  private mutating func moveTarget(wasOnce: Bool, _ count: Count) {
    let first = Double(max(1, onceGhosts.count + count.ghostsOfOnce))
    let second = Double(max(1, againGhosts.count + count.ghostsOfAgain))
    if wasOnce {
      target = min(Double(slots), target + max(1, second / first))
    } else {
      target = max(0, target - max(1, first / second))
    }
  }

  /// Case IV of the textbook. True: a slot is free.
  private mutating func makeWay(_ count: inout Count) -> Bool {
    let first = once.count + count.arrived
    let ghosts = onceGhosts.count + count.ghostsOfOnce
    let second = again.count + count.inAgain + againGhosts.count + count.ghostsOfAgain
    if first + ghosts >= slots {
      if first < slots {
        forgetOnceGhost(&count)
      } else if count.room == 0 {
        guard take(fromOnce: true, &count) else { return false }
        forgetOnceGhost(&count)
        return true
      }
    } else if first + ghosts + second >= 2 * slots {
      if againGhosts.isEmpty { count.ghostsOfAgain -= 1 } else { againGhosts.removeFirst() }
    }
    return false
  }

  private mutating func forgetOnceGhost(_ count: inout Count) {
    if onceGhosts.isEmpty { count.ghostsOfOnce -= 1 } else { onceGhosts.removeFirst() }
  }

  private mutating func replace(isAgainGhost: Bool, _ count: inout Count) -> Bool {
    let length = once.count + count.arrived
    let fromOnce = length > 0 && (Double(length) > target || isAgainGhost && length == Int(target))
    return take(fromOnce: fromOnce, &count) || take(fromOnce: !fromOnce, &count)
  }

  private mutating func take(fromOnce: Bool, _ count: inout Count) -> Bool {
    if fromOnce ? once.isEmpty : again.isEmpty {
      guard fromOnce, count.arrived > 0 else { return false }
      // A block of the request itself, further to its tail: it will be refused.
      count.arrived -= 1
      count.ghostsOfOnce += 1
      return true
    }
    let oldest = fromOnce ? once.removeFirst() : again.removeFirst()
    if count.own.contains(oldest) {
      count.lost[oldest] = fromOnce
      if fromOnce { count.ghostsOfOnce += 1 } else { count.ghostsOfAgain += 1 }
    } else if fromOnce {
      onceGhosts.append(oldest)
    } else {
      againGhosts.append(oldest)
    }
    return true
  }
}
