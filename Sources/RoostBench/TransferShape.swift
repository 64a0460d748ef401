import RoostLayout
import RoostPrimitives
import RoostTransfer

/// The pages of one row: so many pieces of one size, which lie apart on the device (one a layer) and together in the
/// slot.
struct TransferShape {
  /// Contiguous bytes.
  var pieceByteCount: Int
  /// Pieces in a page.
  var pieceCount: Int
  /// Memory of the device, and of the pool.
  var arenaBytes: Int

  /// The sizes that serving engines have: a layer's keys or values of a block (4 to 64 KiB), whole pages (2 MiB), and
  /// large contiguous chunks (32 MiB).
  static func all(_ scale: BenchScale) -> [TransferShape] {
    let arenaBytes = arenaBytes(scale)
    return [(4 << 10, 32), (16 << 10, 32), (64 << 10, 32), (2 << 20, 1), (32 << 20, 1)].map {
      TransferShape(pieceByteCount: $0.0, pieceCount: $0.1, arenaBytes: arenaBytes)
    }
  }

  /// Memory of each side: 1 GiB is 32 times the last-level cache that such machines show, and both sides together stay
  /// far below what a small machine has.
  static func arenaBytes(_ scale: BenchScale) -> Int { scale == .smoke ? 128 << 20 : 1 << 30 }

  /// `4KiB`.
  var name: String { "\(ByteCount(pieceByteCount))".filter { $0 != " " } }
  /// Bytes of a page.
  var pageByteCount: Int { pieceByteCount * pieceCount }
  /// Slots in the pool.
  var slotCount: Int { arenaBytes / pageByteCount }
  /// Blocks on the device. Odd, where there are several layers: a power of two would put the layers of a block into
  /// the same sets of every cache.
  var blockCount: Int { pieceCount > 1 ? slotCount - 1 : slotCount }
  /// Pages of one sample: 64 MiB, as much as the memcpy beside it.
  var batchPageCount: Int { min(slotCount / 2, MemcpyReference.byteCount / pageByteCount) }
  /// Bytes of one sample.
  var batchByteCount: Int { batchPageCount * pageByteCount }

  /// The device's cache from `address`: all blocks of layer 0, then all of layer 1, ...
  func region(at address: UInt) -> PagedRegion {
    PagedRegion(
      address: address, byteCount: arenaBytes, blockStrideBytes: pieceByteCount, blockCount: blockCount)
  }

  /// How a page lies on the device and in the slot.
  func part() throws(RoostError) -> PagePart {
    do throws(LayoutError) {
      let content = Axis(.content, pieceByteCount, strideBytes: 1)
      return PagePart(
        region: 0,
        device: try Layout(
          axes: [Axis(.layer, pieceCount, strideBytes: blockCount * pieceByteCount), content], itemByteCount: 1),
        slot: try Layout(axes: [Axis(.layer, pieceCount, strideBytes: pieceByteCount), content], itemByteCount: 1))
    } catch {
      throw error.roostError
    }
  }

  /// The numbers of one sample's pages, each once, out of `count`.
  func randomBatch(of count: Int, _ random: inout SplitMix64) -> [UInt32] {
    var chosen: [UInt32] = []
    chosen.reserveCapacity(batchPageCount)
    // A walk with a random odd step through a power of two visits every number once: no table of all pages is needed.
    let modulus = UInt64(count).nextPowerOf2
    let step = random.next() | 1
    var position = random.next()
    while chosen.count < batchPageCount {
      position = (position &+ step) & (modulus - 1)
      let mixed = position ^ (position >> 3)
      if mixed < UInt64(count) { chosen.append(UInt32(mixed)) }
    }
    return chosen
  }
}

extension UInt64 {
  /// The smallest power of two that is not smaller.
  fileprivate var nextPowerOf2: UInt64 { self <= 1 ? 1 : 1 << UInt64(64 - (self - 1).leadingZeroBitCount) }
}
