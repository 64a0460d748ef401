import Glibc
import RoostPrimitives

/// What the hazard-index policy learns: for each class of blocks the chance to be touched at a certain age given that
/// it was not touched before, and from it the index by which blocks compete for a slot.
///
/// Age in 48 bins from 1/32 s on, each 1.6 times as wide as the one before. Classes get a row of all arrays when they
/// are first seen; few ever are.
struct HazardModel: ~Copyable {
  static let binCount = 48
  static let touchKinds = 5
  static let newKinds = 6
  static let gapKinds = 6
  /// The first one is "not told".
  static let outputKinds = 8
  static let classCount = touchKinds * newKinds * gapKinds * outputKinds

  /// A class = (touches of the block: 5) x (new blocks of its request: 6) x (gap since the request's last known block
  /// was touched: 6) x (tokens that the request generated: 8).
  struct Row {
    var hazardClass: UInt16
    var touches: UInt8
    var new: UInt8
    var gap: UInt8
    var output: UInt8
  }

  /// Classes that have been seen, in order of appearance.
  private(set) var rowCount = 0
  let rows: UnsafeMutablePointer<Row>
  /// The row of each class, or `noRow`.
  private let rowOfClass: UnsafeMutablePointer<UInt16>
  private static let noRow = UInt16.max

  /// By row and bin: touches in the bin (E), blocks that entered it (N), those that were exposed in it, and the hazard
  /// as it was learned last.
  let touched: UnsafeMutablePointer<Double>
  let entered: UnsafeMutablePointer<Double>
  let risk: UnsafeMutablePointer<Double>
  let hazard: UnsafeMutablePointer<Double>
  /// Computed from the hazards when first asked for after learning: most cells of most classes never are.
  private let indices: UnsafeMutablePointer<Double>
  private let alive: UnsafeMutablePointer<Double>
  /// By row: a bit for each bin whose index is computed, and one for the row of `alive`.
  private let computed: UnsafeMutablePointer<UInt64>
  private static let aliveBit: UInt64 = 1 << 63

  private let edges: UnsafeMutablePointer<Double>
  /// By bin: the age at which a block leaves it; the last one is never left.
  let limits: UnsafeMutablePointer<Double>
  /// By kind of touches and bin: the hazard before there are data.
  let cold: UnsafeMutablePointer<Double>
  private let memory: ReservedArray<Double>

  init() throws(RoostError) {
    let bins = HazardModel.binCount
    let cells = HazardModel.classCount * bins
    let small = 2 * (bins + 1) + HazardModel.touchKinds * bins
    memory = try ReservedArray(count: 5 * cells + HazardModel.classCount * (bins + 1) + small)
    touched = memory.pointer
    entered = touched + cells
    risk = entered + cells
    hazard = risk + cells
    indices = hazard + cells
    alive = indices + cells
    edges = alive + HazardModel.classCount * (bins + 1)
    limits = edges + bins + 1
    cold = limits + bins + 1
    rows = .allocate(capacity: HazardModel.classCount)
    computed = .allocate(capacity: HazardModel.classCount)
    rowOfClass = .allocate(capacity: HazardModel.classCount)
    rowOfClass.initialize(repeating: HazardModel.noRow, count: HazardModel.classCount)
    fillConstants()
  }

  deinit {
    rows.deallocate()
    computed.deallocate()
    rowOfClass.deallocate()
  }

  private func fillConstants() {
    var width = 1.0
    for bin in 0...HazardModel.binCount {
      edges[bin] = (width - 1) / 32
      width *= 1.6
    }
    for bin in 0..<HazardModel.binCount { limits[bin] = edges[bin + 1] }
    limits[HazardModel.binCount - 1] = .infinity
    // A power-law hazard, so recency weighted by touches.
    for touches in 0..<HazardModel.touchKinds {
      for bin in 0..<HazardModel.binCount {
        let exponent = Double(touches + 1) / Double(touches + 3)
        cold[touches * HazardModel.binCount + bin] = 1 - pow((edges[bin] + 10) / (edges[bin + 1] + 10), exponent)
      }
    }
  }

  /// Forgets everything learned.
  mutating func reset() {
    memory.zero()
    fillConstants()
    rowOfClass.update(repeating: HazardModel.noRow, count: HazardModel.classCount)
    rowCount = 0
  }

  // MARK: Classes

  /// What a request says of the class of its blocks: its new blocks, the seconds since its deepest known block was
  /// touched (nil: nothing was known), and the tokens that it generated (nil: not told). Logarithms of them, as one
  /// number; add it to `classes(touches:)`.
  static func kind(newBlocks: Int, gap: Double?, outputTokens: Int?) -> Int {
    let new = logarithm(of: newBlocks, most: newKinds - 1)
    var kind = 0
    if let gap {
      kind = 1
      var limit = 4.0
      while kind < gapKinds - 1, gap + 1 >= limit {
        kind += 1
        limit *= 4
      }
    }
    let output = outputTokens.map { 1 + logarithm(of: max(0, $0), most: outputKinds - 2) } ?? 0
    return (new * gapKinds + kind) * outputKinds + output
  }

  /// floor(log3(count + 1)), at most `most`.
  private static func logarithm(of count: Int, most: Int) -> Int {
    var result = 0
    var rest = count == .max ? count : count + 1
    while result < most, rest >= 3 {
      result += 1
      rest /= 3
    }
    return result
  }

  /// The kind of a block by its touches.
  @inline(__always) static func touchKind(_ touches: UInt8) -> Int {
    switch touches {
    case ...1: 0
    case 2: 1
    case ...4: 2
    case ...16: 3
    default: 4
    }
  }

  /// The row of a class. One that was never seen gets its hazards from no data at all.
  mutating func row(touchKind: Int, kind: Int) -> Int {
    let hazardClass = touchKind * HazardModel.newKinds * HazardModel.gapKinds * HazardModel.outputKinds + kind
    if rowOfClass[hazardClass] != HazardModel.noRow { return Int(rowOfClass[hazardClass]) }
    let row = rowCount
    rowCount += 1
    rowOfClass[hazardClass] = UInt16(row)
    rows[row] = Row(
      hazardClass: UInt16(hazardClass), touches: UInt8(touchKind),
      new: UInt8(kind / HazardModel.outputKinds / HazardModel.gapKinds),
      gap: UInt8(kind / HazardModel.outputKinds % HazardModel.gapKinds), output: UInt8(kind % HazardModel.outputKinds))
    let bins = HazardModel.binCount
    (hazard + row * bins).update(from: cold + touchKind * bins, count: bins)
    computed[row] = 0
    return row
  }

  // MARK: Counts

  /// The number of a row's bin in the arrays.
  @inline(__always) static func cell(_ row: Int, _ bin: Int) -> Int { row * binCount + bin }

  /// `count` blocks enter a bin.
  @inline(__always) func enter(_ cell: Int, count: Int = 1) { HazardModel.add(count, to: &entered[cell]) }

  /// `count` blocks' waits end by a touch.
  @inline(__always) func touch(_ cell: Int, count: Int) { HazardModel.add(count, to: &touched[cell]) }

  /// A block's wait ends unseen: censored in the middle of the bin.
  @inline(__always) func censor(_ cell: Int) { entered[cell] -= 0.5 }

  /// Adds 1 `count` times. All at once where that is the same number to the last bit: both ends lie between the same
  /// powers of two, so no step rounds.
  @inline(__always) private static func add(_ count: Int, to value: inout Double) {
    let sum = value + Double(count)
    if count == 1 || sum.bitPattern >> 52 == value.bitPattern >> 52 {
      value = sum
    } else {
      for _ in 0..<count { value += 1 }
    }
  }

  // MARK: Index

  /// All indices are out of date.
  mutating func expireIndices() {
    for row in 0..<rowCount { computed[row] = 0 }
  }

  /// The best rate of hits per block-second that keeping a block of this class and age can earn from now on: its
  /// Gittins index.
  @inline(__always) func index(_ row: Int, _ bin: Int) -> Double {
    if computed[row] >> UInt64(bin) & 1 == 0 { computeIndex(row, bin) }
    return indices[HazardModel.cell(row, bin)]
  }

  /// Over all ages to stop at, the best ratio of hits to block-seconds.
  private func computeIndex(_ row: Int, _ bin: Int) {
    let alive = alive + row * (HazardModel.binCount + 1)
    if computed[row] & HazardModel.aliveBit == 0 {
      alive[0] = 1
      for bin in 0..<HazardModel.binCount {
        alive[bin + 1] = alive[bin] * (1 - hazard[HazardModel.cell(row, bin)])
      }
    }
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
    indices[HazardModel.cell(row, bin)] = best
    computed[row] |= HazardModel.aliveBit | 1 << UInt64(bin)
  }
}
