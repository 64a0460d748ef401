import CZstd
import RoostPrimitives

/// A zstd stream being decompressed: any number of frames, windows up to 2 GiB. Not thread-safe.
final class ZstdDecoder {
  /// The first bytes of a frame.
  static let magic: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]

  /// Whether everything so far was whole frames.
  private(set) var isBetweenFrames = true
  private let context: OpaquePointer

  /// - Throws: `outOfResources`.
  init() throws(RoostError) {
    guard let context = ZSTD_createDCtx() else {
      throw RoostError(.outOfResources, "there is no memory to decompress with")
    }
    self.context = context
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Limits.zstdWindowLogMax)
  }

  deinit { ZSTD_freeDCtx(context) }

  /// Decompresses part of `source` into the front of `target`. No progress on a non-empty target means that more
  /// source is needed.
  ///
  /// - Throws: `invalidInput` for damaged data.
  func decode(
    _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, of name: String
  ) throws(RoostError) -> (consumed: Int, produced: Int) {
    var from = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
    var into = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
    let left = ZSTD_decompressStream(context, &into, &from)
    guard ZSTD_isError(left) == 0 else {
      let reason = String(cString: ZSTD_getErrorName(left))
      throw RoostError(.invalidInput, "\(name) holds damaged zstd data (\(reason)); copy or download it again")
    }
    // Without input the decoder only says what it waits for next, a new frame included.
    if from.pos > 0 || into.pos > 0 { isBetweenFrames = left == 0 }
    return (from.pos, into.pos)
  }
}
