/// The sizes that slots come in: whole granules, and above 64 KiB eight sizes an octave, so that a page wastes at most
/// an eighth of its slot and pages of a power of two nothing.
enum SlotSizes {
  /// The smallest size that holds a page of so many bytes.
  static func size(for byteCount: Int) -> Int {
    let granules = granules(byteCount)
    guard granules > 64 << 10 else { return granules }
    let octave = 1 << (Int.bitWidth - 1 - (granules - 1).leadingZeroBitCount)
    let step = octave / 8
    return (granules + step - 1) / step * step
  }
  /// So many bytes in whole granules.
  static func granules(_ byteCount: Int) -> Int {
    (byteCount + Limits.granuleBytes - 1) / Limits.granuleBytes * Limits.granuleBytes
  }
}
