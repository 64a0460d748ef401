import CZstd
import RoostPrimitives

/// Packs one page of 16-bit values: the low bytes of all of them, then the high bytes, through zstd. Sign and exponent
/// of neighbouring bf16 or fp16 values are alike and pack well; the mantissa is noise, and apart it does not spoil them.
/// Works for any bytes, only not as well.
///
/// A packed page: magic (4 bytes), version (1), zero (3), raw length (8), raw seal (16), then one zstd frame. The seal
/// that the tier keeps is over the packed bytes; the one in here is over the raw page, and is checked after unpacking.
/// Not thread-safe.
final class PageCodec: @unchecked Sendable {
  // `@unchecked`: `Compressed` calls it under its lock only.
  static let headerByteCount = 32
  private static let magic: UInt32 = 0x5A43_4B52
  private static let version: UInt8 = 1

  private let packer = ZSTD_createCCtx()
  private let unpacker = ZSTD_createDCtx()
  private let level: Int32
  private var planes: [UInt8] = []

  init(level: Int) { self.level = Int32(clamping: level) }

  deinit {
    ZSTD_freeCCtx(packer)
    ZSTD_freeDCtx(unpacker)
  }

  /// Packs a page into `target`; nil if that does not make it fit there.
  func pack(_ page: UnsafeRawBufferPointer, seal: Seal, into target: UnsafeMutableRawBufferPointer) -> Int? {
    let header = PageCodec.headerByteCount
    guard target.count > header, let start = target.baseAddress else { return nil }
    resize(page.count)
    planes.withUnsafeMutableBytes { PageCodec.split(page, into: $0) }
    let written = planes.withUnsafeBytes { bytes in
      ZSTD_compressCCtx(packer, start + header, target.count - header, bytes.baseAddress, page.count, level)
    }
    guard ZSTD_isError(written) == 0 else { return nil }
    start.storeBytes(of: PageCodec.magic.littleEndian, as: UInt32.self)
    start.storeBytes(of: UInt32(PageCodec.version).littleEndian, toByteOffset: 4, as: UInt32.self)
    start.storeBytes(of: UInt64(page.count).littleEndian, toByteOffset: 8, as: UInt64.self)
    start.storeBytes(of: seal.low.littleEndian, toByteOffset: 16, as: UInt64.self)
    start.storeBytes(of: seal.high.littleEndian, toByteOffset: 24, as: UInt64.self)
    return header + written
  }

  /// Unpacks into the front of `target`. Nil: it is no packed page, is longer than `target`, or fails its seal.
  func unpack(_ packed: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> (Int, Seal)? {
    let header = PageCodec.headerByteCount
    guard packed.count > header, let start = packed.baseAddress,
      UInt32(littleEndian: start.loadUnaligned(as: UInt32.self)) == PageCodec.magic,
      UInt32(littleEndian: start.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) == UInt32(PageCodec.version)
    else { return nil }
    func word(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: start.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    guard word(8) <= UInt64(target.count) else { return nil }
    let count = Int(word(8))
    resize(count)
    let read = planes.withUnsafeMutableBytes { bytes in
      ZSTD_decompressDCtx(unpacker, bytes.baseAddress, count, start + header, packed.count - header)
    }
    guard ZSTD_isError(read) == 0, read == count else { return nil }
    let page = UnsafeMutableRawBufferPointer(rebasing: target[..<count])
    planes.withUnsafeBytes { PageCodec.join($0, into: page) }
    let seal = Seal(low: word(16), high: word(24))
    return Seal(over: UnsafeRawBufferPointer(page)) == seal ? (count, seal) : nil
  }

  private func resize(_ count: Int) {
    if planes.count < count { planes = [UInt8](repeating: 0, count: count) }
  }

  private static func split(_ page: UnsafeRawBufferPointer, into planes: UnsafeMutableRawBufferPointer) {
    guard let from = page.baseAddress, let low = planes.baseAddress else { return }
    let pairs = page.count / 2
    let high = low + pairs
    for index in 0..<pairs {
      let pair = UInt16(littleEndian: from.loadUnaligned(fromByteOffset: 2 &* index, as: UInt16.self))
      low.storeBytes(of: UInt8(truncatingIfNeeded: pair), toByteOffset: index, as: UInt8.self)
      high.storeBytes(of: UInt8(truncatingIfNeeded: pair >> 8), toByteOffset: index, as: UInt8.self)
    }
    if page.count % 2 == 1 { planes[page.count - 1] = page[page.count - 1] }
  }

  private static func join(_ planes: UnsafeRawBufferPointer, into page: UnsafeMutableRawBufferPointer) {
    guard let low = planes.baseAddress, let to = page.baseAddress else { return }
    let pairs = page.count / 2
    let high = low + pairs
    for index in 0..<pairs {
      let pair =
        UInt16(low.load(fromByteOffset: index, as: UInt8.self))
        | UInt16(high.load(fromByteOffset: index, as: UInt8.self)) << 8
      to.storeBytes(of: pair.littleEndian, toByteOffset: 2 &* index, as: UInt16.self)
    }
    if page.count % 2 == 1 { page[page.count - 1] = planes[page.count - 1] }
  }
}
