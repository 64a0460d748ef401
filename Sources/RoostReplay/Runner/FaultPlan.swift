import RoostPrimitives

/// When to flip stored bytes: seeded, spread over the requests of a run.
struct FaultPlan {
  private var due: [Int]

  /// Plans `count` faults.
  ///
  /// - Parameter requestCount: how many requests there will be; if nobody knows, a fault is due every 64 requests at
  ///   most.
  init(count: Int, requestCount: Int?, seed: UInt64) {
    var random = SplitMix64(seed: SplitMix64.mix(seed ^ 0xFA01))
    if let requestCount {
      // The last tenth is left for those that find nothing to corrupt when they are due.
      let range = 0...max(0, requestCount * 9 / 10)
      due = (0..<count).map { _ in Int.random(in: range, using: &random) }
    } else {
      var next = 0
      due = (0..<count).map { _ in
        next += Int.random(in: 1...64, using: &random)
        return next
      }
    }
    due.sort(by: >)
  }

  /// Takes at most `limit` of the faults that are due at the request with this number.
  mutating func take(at request: Int, limit: Int) -> Int {
    var taken = 0
    while taken < limit, let next = due.last, next <= request {
      due.removeLast()
      taken += 1
    }
    return taken
  }
}
