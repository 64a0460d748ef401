import Glibc

/// What the hazard-index policy learns: for each class of blocks the chance to be touched at a certain age given that
/// it was not touched before, and from it the index by which blocks compete for a slot.
///
/// Class = (touches of the block: 5) x (new blocks of its request: 6) x (gap since the request's last known block was
/// touched: 6); age in 48 bins from 1/32 s on, each 1.6 times as wide as the one before.
struct HazardModel: ~Copyable {
  static let binCount = 48
  static let touchKinds = 5
  static let newKinds = 6
  static let gapKinds = 6
  static let classCount = touchKinds * newKinds * gapKinds
  static let cellCount = classCount * binCount

  /// The best rate of hits per block-second that keeping a block of this class and age can earn from now on: its
  /// Gittins index. By class and bin.
  let index: UnsafeMutablePointer<Double>
  /// Touches in the bin (E), and blocks that entered it (N).
  private let touched: UnsafeMutablePointer<Double>
  private let entered: UnsafeMutablePointer<Double>
  private let risk: UnsafeMutablePointer<Double>
  private let edges: UnsafeMutablePointer<Double>
  private let cold: UnsafeMutablePointer<Double>
  /// Classes that have been seen.
  private(set) var active: [Int] = []
  private var isActive = [Bool](repeating: false, count: classCount)

  init() {
    index = HazardModel.zeros(HazardModel.cellCount)
    touched = HazardModel.zeros(HazardModel.cellCount)
    entered = HazardModel.zeros(HazardModel.cellCount)
    risk = HazardModel.zeros(HazardModel.cellCount)
    edges = HazardModel.zeros(HazardModel.binCount + 1)
    cold = HazardModel.zeros(HazardModel.touchKinds * HazardModel.binCount)
    var width = 1.0
    for bin in 0...HazardModel.binCount {
      edges[bin] = (width - 1) / 32
      width *= 1.6
    }
    // Until data come: a power-law hazard, so recency weighted by touches.
    for touches in 0..<HazardModel.touchKinds {
      for bin in 0..<HazardModel.binCount {
        let exponent = Double(touches + 1) / Double(touches + 3)
        cold[touches * HazardModel.binCount + bin] = 1 - pow((edges[bin] + 10) / (edges[bin + 1] + 10), exponent)
      }
    }
  }

  deinit {
    index.deallocate()
    touched.deallocate()
    entered.deallocate()
    risk.deallocate()
    edges.deallocate()
    cold.deallocate()
  }

  private static func zeros(_ count: Int) -> UnsafeMutablePointer<Double> {
    let memory = UnsafeMutablePointer<Double>.allocate(capacity: count)
    memory.initialize(repeating: 0, count: count)
    return memory
  }

  /// The age, in seconds, at which a bin begins.
  @inline(__always) func edge(_ bin: Int) -> Double { edges[bin] }

  /// A block enters a bin.
  @inline(__always) func enter(_ cell: Int) { entered[cell] += 1 }

  /// A block's wait ends: by a touch, or unseen (censored in the middle of the bin).
  @inline(__always) func leave(_ cell: Int, byTouch: Bool) {
    if byTouch { touched[cell] += 1 } else { entered[cell] -= 0.5 }
  }

  /// A block is classified; a class that was never seen gets its index from the cold hazard alone.
  mutating func activate(_ hazardClass: Int) {
    guard !isActive[hazardClass] else { return }
    isActive[hazardClass] = true
    active.append(hazardClass)
    let row = hazardClass / (HazardModel.newKinds * HazardModel.gapKinds) * HazardModel.binCount
    computeIndex(hazardClass, UnsafePointer(cold + row))
  }

  /// Forgets everything learned.
  mutating func reset() {
    for cell in 0..<HazardModel.cellCount {
      index[cell] = 0
      touched[cell] = 0
      entered[cell] = 0
    }
    active.removeAll()
    isActive = [Bool](repeating: false, count: HazardModel.classCount)
  }

  /// The Gittins index: over all ages to stop at, the best ratio of hits to block-seconds.
  private func computeIndex(_ hazardClass: Int, _ hazard: UnsafePointer<Double>) {
    withUnsafeTemporaryAllocation(of: Double.self, capacity: HazardModel.binCount + 1) { alive in
      alive[0] = 1
      for bin in 0..<HazardModel.binCount { alive[bin + 1] = alive[bin] * (1 - hazard[bin]) }
      for bin in 0..<HazardModel.binCount {
        var best = 0.0
        var gain = 0.0
        var cost = 0.0
        for end in bin..<HazardModel.binCount {
          gain += alive[end] - alive[end + 1]
          cost += 0.5 * (alive[end] + alive[end + 1]) * (edges[end + 1] - edges[end])
          let rate = cost > 0 ? gain / cost : 0
          if rate > best { best = rate }
          if alive[end + 1] < 1e-9 * alive[bin] { break }
        }
        index[hazardClass * HazardModel.binCount + bin] = best
      }
    }
  }

  /// Makes hazards and indices from the counts so far and lets old counts fade. `waiting`: blocks in a cell now.
  mutating func learn(waiting: (_ cell: Int) -> Int) {
    let bins = HazardModel.binCount
    let perTouch = HazardModel.newKinds * HazardModel.gapKinds
    var hits = [Double](repeating: 0, count: HazardModel.touchKinds * bins)
    var exposed = hits
    for hazardClass in active {
      for bin in 0..<bins {
        let cell = hazardClass * bins + bin
        // Those who still wait have on average spent half the bin.
        let half = 0.5 * (touched[cell] + Double(waiting(cell)))
        risk[cell] = max(touched[cell], entered[cell] - half)
        hits[hazardClass / perTouch * bins + bin] += touched[cell]
        exposed[hazardClass / perTouch * bins + bin] += risk[cell]
      }
    }
    var base = hits
    for row in base.indices {
      base[row] = min(1, (hits[row] + PseudoCount.cold * cold[row]) / (exposed[row] + PseudoCount.cold))
    }
    let factors = fitFactors(base)
    withUnsafeTemporaryAllocation(of: Double.self, capacity: bins) { hazard in
      for hazardClass in active {
        let new = hazardClass / HazardModel.gapKinds % HazardModel.newKinds
        let factor = factors.new[new] * factors.gap[hazardClass % HazardModel.gapKinds]
        for bin in 0..<bins {
          let cell = hazardClass * bins + bin
          let prior = min(0.95, base[hazardClass / perTouch * bins + bin] * factor)
          hazard[bin] = min(1, (touched[cell] + PseudoCount.cell * prior) / (risk[cell] + PseudoCount.cell))
        }
        // A temporary allocation of at least one element has an address.
        computeIndex(hazardClass, UnsafePointer(hazard.baseAddress!))
        for cell in hazardClass * bins..<(hazardClass + 1) * bins {
          touched[cell] *= HazardModel.keepFactor
          entered[cell] *= HazardModel.keepFactor
        }
      }
    }
  }

  /// Blocks of one request are not independent, so about ten requests' worth of prior.
  private enum PseudoCount {
    static let factor = 1000.0
    static let cell = 1000.0
    static let cold = 300.0
  }

  /// Half-life 6,900 requests, at one learning every 50.
  private static let keepFactor = 0.995

  /// Proportional factors of "new blocks" and of "gap": 6 + 6 numbers, so they are learned from few requests.
  private func fitFactors(_ base: [Double]) -> (new: [Double], gap: [Double]) {
    let bins = HazardModel.binCount
    let perTouch = HazardModel.newKinds * HazardModel.gapKinds
    var seen = [Double](repeating: 0, count: HazardModel.classCount)
    var expected = seen
    for hazardClass in active {
      for bin in 0..<bins {
        seen[hazardClass] += touched[hazardClass * bins + bin]
        expected[hazardClass] += risk[hazardClass * bins + bin] * base[hazardClass / perTouch * bins + bin]
      }
    }
    var new = [Double](repeating: 1, count: HazardModel.newKinds)
    var gap = [Double](repeating: 1, count: HazardModel.gapKinds)
    for _ in 0..<4 {
      new = fit(HazardModel.newKinds, seen, expected) { hazardClass in
        (hazardClass / HazardModel.gapKinds % HazardModel.newKinds, gap[hazardClass % HazardModel.gapKinds])
      }
      gap = fit(HazardModel.gapKinds, seen, expected) { hazardClass in
        (hazardClass % HazardModel.gapKinds, new[hazardClass / HazardModel.gapKinds % HazardModel.newKinds])
      }
    }
    return (new, gap)
  }

  private func fit(
    _ count: Int, _ seen: [Double], _ expected: [Double], _ place: (Int) -> (value: Int, otherFactor: Double)
  ) -> [Double] {
    var numerator = [Double](repeating: PseudoCount.factor, count: count)
    var denominator = numerator
    for hazardClass in active {
      let (value, other) = place(hazardClass)
      numerator[value] += seen[hazardClass]
      denominator[value] += expected[hazardClass] * other
    }
    return (0..<count).map { numerator[$0] / denominator[$0] }
  }
}
