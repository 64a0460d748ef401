import Foundation
import RoostDevice
import RoostLayout
import RoostPrimitives
import RoostTransfer

/// A deadline that only a hang reaches.
func patience() -> Deadline { .after(seconds: 30) }

/// Logical extents of a page: layer, key/value, token, head, dim; and the size of an element.
struct PageShape {
  static let names: [AxisName] = [.layer, .keyValue, .token, .head, .dim]
  var extents: [Int]
  var itemByteCount: Int

  /// Calls `body` with every logical index.
  func forEach(_ body: ([Int]) -> Void) {
    var index = [Int](repeating: 0, count: extents.count)
    while true {
      body(index)
      var axis = extents.count - 1
      while axis >= 0 {
        index[axis] += 1
        if index[axis] < extents[axis] { break }
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }

  static func random(using random: inout SplitMix64) -> PageShape {
    PageShape(
      extents: [
        Int.random(in: 1...4, using: &random), Int.random(in: 1...2, using: &random),
        [1, 2, 4, 8].randomElement(using: &random)!, [1, 2, 4, 8].randomElement(using: &random)!,
        [1, 3, 8, 16].randomElement(using: &random)!,
      ], itemByteCount: [1, 2, 4].randomElement(using: &random)!)
  }
}

/// Where the elements of a page lie: strides in bytes worked out here, by hand, from an order of axes and paddings.
struct Grid {
  var shape: PageShape
  var strides: [Int]
  var offsetBytes: Int
  /// One past the last byte.
  var endBytes: Int

  /// - Parameters:
  ///   - order: the axes from the outermost to the innermost.
  ///   - padding: bytes added to the length of each axis in that order.
  init(_ shape: PageShape, order: [Int], padding: [Int], offsetBytes: Int) {
    self.shape = shape
    self.offsetBytes = offsetBytes
    strides = [Int](repeating: 0, count: shape.extents.count)
    var length = shape.itemByteCount
    for (axis, pad) in zip(order, padding).reversed() {
      strides[axis] = length
      length = length * shape.extents[axis] + pad
    }
    endBytes = offsetBytes + length
  }

  static func random(_ shape: PageShape, using random: inout SplitMix64) -> Grid {
    let order = Array(shape.extents.indices).shuffled(using: &random)
    let padding = order.map { _ in [0, 0, 0, 4, 12].randomElement(using: &random)! }
    return Grid(shape, order: order, padding: padding, offsetBytes: [0, 0, 8].randomElement(using: &random)!)
  }

  func offset(of index: [Int]) -> Int {
    zip(index, strides).reduce(offsetBytes) { $0 + $1.0 * $1.1 }
  }

  /// The same arrangement in Roost's words, one plane.
  func layout() throws -> Layout {
    try Layout(
      axes: zip(PageShape.names, zip(shape.extents, strides)).map { Axis($0, $1.0, strideBytes: $1.1) },
      itemByteCount: shape.itemByteCount, offsetBytes: offsetBytes)
  }

  /// Only step `step` of `axis`, which keeps extent 1.
  func selecting(_ axis: Int, _ step: Int) -> Grid {
    narrowed(axis, start: step, count: 1)
  }

  /// Only `count` steps of `axis` from `start`.
  func narrowed(_ axis: Int, start: Int, count: Int) -> Grid {
    var result = self
    result.shape.extents[axis] = count
    result.offsetBytes += start * strides[axis]
    return result
  }
}

/// Host memory with an address, filled with bytes that depend on a seed.
final class Memory: @unchecked Sendable {
  let buffer: UnsafeMutableRawBufferPointer
  var address: UInt { UInt(bitPattern: buffer.baseAddress) }

  init(_ byteCount: Int, seed: UInt64) {
    buffer = .allocate(byteCount: max(8, (byteCount + 7) & ~7), alignment: 64)
    refill(seed: seed)
  }

  convenience init(copyOf other: Memory) {
    self.init(other.buffer.count, seed: 0)
    buffer.copyMemory(from: UnsafeRawBufferPointer(other.buffer))
  }

  deinit { buffer.deallocate() }

  func refill(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    for index in 0..<buffer.count / 8 { buffer.storeBytes(of: random.next(), toByteOffset: index * 8, as: UInt64.self) }
  }

  func equals(_ other: Memory) -> Bool {
    buffer.count == other.buffer.count && memcmp(buffer.baseAddress!, other.buffer.baseAddress!, buffer.count) == 0
  }

  /// Copies one element, the oracle's way.
  func copyElement(from other: Memory, _ from: Int, to: Int, byteCount: Int) {
    memcpy(buffer.baseAddress! + to, other.buffer.baseAddress! + from, byteCount)
  }
}

extension TransferQueue {
  /// Submits, waits, and returns the result.
  func run(_ job: TransferJob, _ pages: [PageCopy]) throws -> TransferResult {
    let ticket = try pages.withUnsafeBufferPointer { try submit(job, $0) }
    return try wait(for: ticket, until: patience())
  }
}
