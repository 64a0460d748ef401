/// The common mixed-radix refinement of one logical axis: the coarsest loops in which source and target are both affine.
///
/// Works from the innermost factors outward. A factor that divides the one on the other side becomes a loop; what two
/// factors have in common becomes one too. Where neither divides the other (16 against 24), the axis is cut at
/// the boundaries of both over one common period, and each piece is affine by itself.
struct Refinement {
  /// One piece of a cut: where it starts, and its loop.
  struct Piece {
    let sourceOffset: Int
    let targetOffset: Int
    let loop: CopyLoop
  }

  /// The pieces of every cut, one list a cut; a plan has a part for each combination.
  private(set) var cuts: [[Piece]] = []
  private var source = RadixCursor()
  private var target = RadixCursor()

  /// Forgets the cuts of the plane before.
  mutating func removeAll() {
    if !cuts.isEmpty { cuts = [] }
  }

  /// Adds the loops of axis `name` to `loops`; throws if the extents differ or a cut has too many pieces.
  mutating func add(
    _ name: AxisName, from sourceAxes: [Axis], to targetAxes: [Axis], into loops: inout LoopList
  ) throws(LayoutError) {
    source.load(name, from: sourceAxes)
    target.load(name, from: targetAxes)
    guard source.total == target.total else {
      throw .extentMismatch(name, source: source.total, target: target.total)
    }
    while source.advance(), target.advance() {
      let count = greatestCommonDivisor(source.extent, target.extent)
      if count > 1 {
        loops.append(CopyLoop(count: count, sourceStride: source.stride, targetStride: target.stride))
        source.consume(count)
        target.consume(count)
      } else {
        try cut(name)
      }
    }
  }

  /// Cuts one period of the axis at the boundaries of both sides.
  private mutating func cut(_ name: AxisName) throws(LayoutError) {
    let period = commonPeriod()
    let (ownStep, otherStep) = (source.extent, target.extent)
    let count = period / ownStep + period / otherStep
    guard count <= Limits.partCountMax else {
      throw .limitPassed(
        "pieces of axis '\(name)', whose radices do not divide", count: count, limit: Limits.partCountMax)
    }
    var pieces: [Piece] = []
    pieces.reserveCapacity(count)
    var start = 0
    while start < period {
      let end = min((start / ownStep + 1) * ownStep, (start / otherStep + 1) * otherStep)
      let loop = CopyLoop(count: end - start, sourceStride: source.stride, targetStride: target.stride)
      pieces.append(
        Piece(sourceOffset: source.offset(of: start), targetOffset: target.offset(of: start), loop: loop))
      start = end
    }
    cuts.append(pieces)
    source.consumeAcross(period)
    target.consumeAcross(period)
  }

  /// The smallest period after which both sides are at a boundary, such that every larger unit of either side is a
  /// multiple of it. All units divide the axis' extent, so the period does too.
  private func commonPeriod() -> Int {
    var period = leastCommonMultiple(source.extent, target.extent)
    var grown = true
    while grown {
      let before = period
      period = target.extendedPeriod(source.extendedPeriod(period))
      grown = period != before
    }
    return period
  }
}

/// Euclid's algorithm on positive numbers.
func greatestCommonDivisor(_ left: Int, _ right: Int) -> Int {
  var (left, right) = (left, right)
  while right != 0 { (left, right) = (right, left % right) }
  return left
}

/// Of positive numbers whose common multiple is known to fit.
func leastCommonMultiple(_ left: Int, _ right: Int) -> Int {
  left / greatestCommonDivisor(left, right) * right
}
