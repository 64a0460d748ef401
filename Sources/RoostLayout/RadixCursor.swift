/// One side of a refinement: the factors of one logical axis, innermost first, and how far they are consumed.
///
/// A *unit* is the number of positions below a factor's boundary. Positions count in multiples of what is consumed.
struct RadixCursor {
  private var extents = InlineArray<32, Int>(repeating: 0)
  private var strides = InlineArray<32, Int>(repeating: 0)
  private var count = 0
  private var index = 0

  /// The product of all factors.
  private(set) var total = 1

  /// What is left of the current factor.
  var extent: Int { extents[index] }

  /// Bytes from one position to the next within the current factor.
  var stride: Int { strides[index] }

  /// Takes the factors of `name`; those of extent 1 say nothing.
  mutating func load(_ name: AxisName, from axes: [Axis]) {
    count = 0
    index = 0
    total = 1
    var position = axes.count - 1
    while position >= 0 {
      let extent = axes[position].extent
      if extent > 1, axes[position].name == name {
        extents[count] = extent
        strides[count] = axes[position].strideBytes
        count += 1
        total &*= extent
      }
      position -= 1
    }
  }

  /// Moves past a factor that is used up; false at the end.
  mutating func advance() -> Bool {
    if index < count, extents[index] == 1 { index += 1 }
    return index < count
  }

  /// Uses up `divisor` steps of the current factor, which it divides.
  mutating func consume(_ divisor: Int) {
    extents[index] /= divisor
    strides[index] &*= divisor  // may wrap only when the factor is used up: the product is then not read
  }

  /// Uses up `period` positions, which end at a boundary or divide the factor in which they end.
  mutating func consumeAcross(_ period: Int) {
    var left = period
    while left > 1 {
      let divisor = min(left, extents[index])
      consume(divisor)
      left /= divisor
      if extents[index] == 1 { index += 1 }
    }
  }

  /// Bytes from the current position to the one `position` further.
  func offset(of position: Int) -> Int {
    var left = position
    var offset = 0
    var factor = index
    while left > 0 {
      offset += left % extents[factor] * strides[factor]
      left /= extents[factor]
      factor += 1
    }
    return offset
  }

  /// The smallest multiple of `period` that every unit divides or is a multiple of, as far as one pass can tell.
  func extendedPeriod(_ period: Int) -> Int {
    var period = period
    var unit = 1
    for factor in index..<count {
      unit *= extents[factor]
      if unit % period != 0, period % unit != 0 { period = leastCommonMultiple(period, unit) }
    }
    return period
  }
}
