import PolicyReference
import RoostConformance
import RoostPrimitives

/// LRU or FIFO in an array, oldest first.
struct NaiveQueue: EvictionModel {
  let slots: Int
  let movesHits: Bool
  private var order: [Key] = []

  init(slots: Int, movesHits: Bool) {
    self.slots = slots
    self.movesHits = movesHits
  }

  var residents: Set<Key> { Set(order) }

  mutating func store(_ keys: [Key]) {
    let newcomers = keys.filter { !order.contains($0) }
    let others = order.count(where: { !keys.contains($0) })
    let admitted = newcomers.prefix(slots - order.count + others)
    while order.count + admitted.count > slots, let victim = order.firstIndex(where: { !keys.contains($0) }) {
      order.remove(at: victim)
    }
    if movesHits {
      let hits = keys.filter { order.contains($0) }
      order.removeAll { hits.contains($0) }
      order += keys.filter { hits.contains($0) || admitted.contains($0) }.reversed()
    } else {
      order += admitted.reversed()
    }
  }
}

/// S3-FIFO in arrays, oldest first: the uses of a request count before its victims are chosen, newcomers enter after.
struct NaiveSmallMainGhost: EvictionModel {
  private let slots: Int
  private var small: [Key] = []
  private var main: [Key] = []
  private var ghosts: [Key] = []
  private var uses: [Key: Int] = [:]

  init(slots: Int) { self.slots = slots }

  var residents: Set<Key> { Set(small + main) }

  mutating func store(_ keys: [Key]) {
    let held = residents
    for key in keys where held.contains(key) { uses[key] = min(3, uses[key, default: 0] + 1) }
    let newcomers = keys.filter { !held.contains($0) }
    let admitted = newcomers.prefix(slots - keys.count + newcomers.count)
    evict(held.count + admitted.count - slots, sparing: Set(keys))
    for key in admitted.reversed() {
      uses[key] = 0
      if let known = ghosts.firstIndex(of: key) {
        ghosts.remove(at: known)
        main.append(key)
      } else {
        small.append(key)
      }
    }
    ghosts.removeFirst(max(0, ghosts.count - (slots - slots / 10)))
  }

  private mutating func evict(_ count: Int, sparing own: Set<Key>) {
    var missing = count
    while missing > 0 {
      let oldestSmall = small.firstIndex { !own.contains($0) }
      let oldestMain = main.firstIndex { !own.contains($0) }
      if let index = oldestSmall, small.count > slots / 10 || oldestMain == nil {
        let key = small.remove(at: index)
        if uses[key, default: 0] >= 2 {
          uses[key] = 0
          main.append(key)
        } else {
          ghosts.append(key)
          missing -= 1
        }
      } else if let index = oldestMain {
        let key = main.remove(at: index)
        if uses[key, default: 0] > 0 {
          uses[key, default: 0] -= 1
          main.append(key)
        } else {
          missing -= 1
        }
      } else {
        return
      }
    }
  }
}

/// The hazard-index policy of Tests/PolicyReference, which shares nothing with ours.
final class ReferenceHazardIndex: EvictionModel {
  private static let blockCountMax: Int32 = 1 << 15
  private let policy: OpaquePointer
  private var numbers: [Key: Int32] = [:]
  /// Requests come a second apart, as in the suite.
  private var seconds = 0.0

  init(slots: Int) { policy = policy_reference_make(ReferenceHazardIndex.blockCountMax, Int32(slots)) }

  deinit { policy_reference_free(policy) }

  var residents: Set<Key> { Set(numbers.filter { policy_reference_is_resident(policy, $0.value) }.keys) }

  func store(_ keys: [Key]) {
    let blocks = keys.map { key in
      numbers[key]
        ?? {
          let number = Int32(numbers.count)
          numbers[key] = number
          return number
        }()
    }
    seconds += 1
    policy_reference_request(policy, seconds, blocks, Int32(blocks.count))
  }
}
