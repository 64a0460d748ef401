extension HazardModel {
  /// Blocks of one request are not independent, so about ten requests' worth of prior.
  private enum PseudoCount {
    static let factor = 1000.0
    static let cell = 1000.0
    static let cold = 300.0
  }

  /// Half-life 6,900 requests, at one learning every 50.
  private static let keepFactor = 0.995

  /// Proportional factors of a request's three features: few numbers, so they are learned from few requests. What was
  /// not told has the factor 1.
  private struct Factors {
    var values = InlineArray<20, Double>(repeating: 1)

    /// Where the values of each feature stand.
    static let ranges: InlineArray<3, Range<Int>> = [0..<6, 6..<12, 12..<20]

    /// Where the value of a class's feature stands.
    @inline(__always) static func place(_ feature: Int, _ row: Row) -> Int {
      switch feature {
      case 0: Int(row.new)
      case 1: 6 + Int(row.gap)
      default: 12 + Int(row.output)
      }
    }

    /// The product of a class's factors but for one feature.
    func product(_ row: Row, except feature: Int) -> Double {
      let first = feature == 0 ? 1 : 0
      let second = feature == 2 ? 1 : 2
      return values[Factors.place(first, row)] * values[Factors.place(second, row)]
    }

    func product(_ row: Row) -> Double { product(row, except: 2) * values[Factors.place(2, row)] }
  }

  /// Makes hazards from the counts so far and lets old counts fade. `segments` tells who waits.
  ///
  /// Sums run in a fixed order, class by class as they appeared: decisions depend on the last bit, and the published
  /// counts of hits are exact.
  mutating func learn(_ segments: borrowing HazardSegments) {
    let bins = HazardModel.binCount
    withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * HazardModel.touchKinds * bins) { scratch in
      // A temporary allocation of at least one element has an address.
      let base = scratch.baseAddress!
      let exposed = base + HazardModel.touchKinds * bins
      scratch.update(repeating: 0)
      for row in 0..<rowCount { expose(row, segments, hits: base, exposed: exposed) }
      for cell in 0..<HazardModel.touchKinds * bins {
        base[cell] = min(1, (base[cell] + PseudoCount.cold * cold[cell]) / (exposed[cell] + PseudoCount.cold))
      }
      let factors = fitFactors(base)
      for row in 0..<rowCount { conclude(row, base, factors) }
    }
    expireIndices()
  }

  /// Adds what a class has seen to the sums of its kind of touches.
  private func expose(
    _ row: Int, _ segments: borrowing HazardSegments, hits: UnsafeMutablePointer<Double>,
    exposed: UnsafeMutablePointer<Double>
  ) {
    let bins = HazardModel.binCount
    let sums = Int(rows[row].touches) * bins
    for bin in 0..<bins {
      let cell = row * bins + bin
      // Those who still wait have on average spent half the bin.
      let half = 0.5 * (touched[cell] + Double(segments.waitingCount(row, bin)))
      risk[cell] = max(touched[cell], entered[cell] - half)
      hits[sums + bin] += touched[cell]
      exposed[sums + bin] += risk[cell]
    }
  }

  /// A class with data of its own follows them, a rare one the product of the factors.
  private func conclude(_ row: Int, _ base: UnsafePointer<Double>, _ factors: Factors) {
    let bins = HazardModel.binCount
    let base = base + Int(rows[row].touches) * bins
    let factor = factors.product(rows[row])
    for bin in 0..<bins {
      let cell = row * bins + bin
      let prior = min(0.95, base[bin] * factor)
      hazard[cell] = min(1, (touched[cell] + PseudoCount.cell * prior) / (risk[cell] + PseudoCount.cell))
      touched[cell] *= HazardModel.keepFactor
      entered[cell] *= HazardModel.keepFactor
    }
  }

  private func fitFactors(_ base: UnsafePointer<Double>) -> Factors {
    let bins = HazardModel.binCount
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * HazardModel.classCount) { scratch in
      // A temporary allocation of at least one element has an address.
      let seen = scratch.baseAddress!
      let expected = seen + HazardModel.classCount
      for row in 0..<rowCount {
        seen[row] = 0
        expected[row] = 0
        let base = base + Int(rows[row].touches) * bins
        for bin in 0..<bins {
          seen[row] += touched[row * bins + bin]
          expected[row] += risk[row * bins + bin] * base[bin]
        }
      }
      var factors = Factors()
      for _ in 0..<4 {
        for feature in 0..<3 { fit(feature, &factors, seen, expected) }
      }
      return factors
    }
  }

  private func fit(
    _ feature: Int, _ factors: inout Factors, _ seen: UnsafePointer<Double>, _ expected: UnsafePointer<Double>
  ) {
    var numerators = InlineArray<20, Double>(repeating: PseudoCount.factor)
    var denominators = numerators
    for row in 0..<rowCount {
      let place = Factors.place(feature, rows[row])
      numerators[place] += seen[row]
      denominators[place] += expected[row] * factors.product(rows[row], except: feature)
    }
    for place in Factors.ranges[feature] { factors.values[place] = numerators[place] / denominators[place] }
    factors.values[12] = 1
  }
}
