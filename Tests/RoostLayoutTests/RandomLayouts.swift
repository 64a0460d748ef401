import RoostLayout
import RoostPrimitives

/// Random layouts of the same logical axes, cut, ordered and padded differently.
struct RandomLayouts {
  var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }

  /// Names and extents: 1 to 4 axes, at most `elementCountMax` elements.
  mutating func logicalAxes(elementCountMax: Int) -> [(name: AxisName, extent: Int)] {
    var left = elementCountMax
    var result: [(AxisName, Int)] = []
    for name: AxisName in ["kv", "tok", "head", "dim"].shuffled(using: &random).prefix(1 + below(4)) {
      let extent = [1, 2, 2, 3, 4, 6, 8, 12, 24].filter { $0 <= left }.randomElement(using: &random) ?? 1
      left /= extent
      result.append((name, extent))
    }
    return result
  }

  /// Ordered factors of an extent, outermost first.
  mutating func factors(of extent: Int) -> [Int] {
    var factors: [Int] = []
    var left = extent
    while left > 1, factors.count < 2, below(3) > 0 {
      let divisor = (1...left).filter { left % $0 == 0 }.randomElement(using: &random) ?? 1
      factors.append(divisor)
      left /= divisor
    }
    factors.append(left)
    return factors.shuffled(using: &random)
  }

  /// A plane whose factors lie in a random order in memory, with holes; strides nest.
  mutating func nestedPlane(_ axes: [(name: AxisName, extent: Int)], item: Int, offset: Int) -> Plane {
    var logical: [(name: AxisName, extent: Int)] = []
    for axis in axes.shuffled(using: &random) {
      for factor in factors(of: axis.extent) { logical.append((axis.name, factor)) }
    }
    var strides = Array(repeating: 0, count: logical.count)
    var span = item
    for index in logical.indices.shuffled(using: &random) {
      if below(4) == 0 { span += item * (1 + below(3)) }
      strides[index] = span
      span *= logical[index].extent
    }
    return Plane(
      axes: zip(logical, strides).map { Axis($0.name, $0.extent, strideBytes: $1) }, itemByteCount: item,
      offsetBytes: offset)
  }

  /// A plane with strides from a small range: they interleave, overlap or repeat more often than not.
  mutating func wildPlane(_ axes: [(name: AxisName, extent: Int)], item: Int, offset: Int) -> Plane {
    let plane = nestedPlane(axes, item: item, offset: offset)
    return Plane(
      axes: plane.axes.map { axis in
        below(3) == 0 ? axis : Axis(axis.name, axis.extent, strideBytes: item * below(30) + (below(8) == 0 ? 1 : 0))
      }, itemByteCount: item, offsetBytes: offset)
  }
}
