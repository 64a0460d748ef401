/// The bounds of the layout algebra. Each is far above what real caches need and keeps hostile input cheap.
public enum Limits {
  /// Axes of one plane. Real caches have 3 to 8, hierarchical ones up to 10.
  public static let axisCountMax = 32

  /// Planes of one layout: 128 layers of 8 regions each (K, V, scales, state) and room to spare.
  public static let planeCountMax = 4096

  /// Elements of a plane, and the byte just past its last one: 2^60 (1 EiB). The sum of eight such numbers still fits
  /// in an `Int`, so that the algebra behind the checks needs no checks of its own.
  public static let byteOffsetMax = 1 << 60

  /// Loops of one part of a plan. A loop counts at least 2, their product is at most 2^60: 60, rounded up.
  static let loopCountMax = 64

  /// Affine parts of one plan. Radices 16 against 24 give 4; only co-prime radices in the thousands come near.
  public static let partCountMax = 1 << 16

  /// Streams that the ascending iterator merges when strides interleave (64 bytes and two small arrays each).
  public static let streamCountMax = 1 << 16

  /// Steps that the search for a self-aliasing target may take (tens of milliseconds): one a pair of planes that may
  /// overlap and one a difference tried. 500 planes interleaved with each other take half of them.
  static let aliasStepMax = 1 << 18

  /// Pieces that `emit` keeps as a template and repeats: 256 x 24 bytes = 6 KiB, a fifth of a first-level cache.
  static let templateCountMax = 256
}
