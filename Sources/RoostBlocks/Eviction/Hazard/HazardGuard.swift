/// The no-regret guard: stops the policy for a while when LRU would have been ahead by about one cache-full.
struct HazardGuard {
  /// Whether victims go in the order of LRU and nothing is refused.
  private(set) var actsAsLRU = false
  private var account = 0.0
  private var references = 0
  private var until = 0
  private var trips = 0

  /// A request was looked up.
  mutating func step(length: Int, hits: Int, shadowHits: Int, capacity: Int) {
    references += length
    account += Double(shadowHits - hits) - 0.0025 * Double(length)
    let slots = Double(capacity)
    if account < -4 * slots {
      account = -4 * slots
      trips = 0
    }
    if !actsAsLRU, account > slots {
      actsAsLRU = true
      account = 0
      until = references + 8 * capacity * (1 << min(trips, 6))
      trips += 1
    } else if actsAsLRU, references >= until {
      actsAsLRU = false
      account = 0
    }
  }
}
