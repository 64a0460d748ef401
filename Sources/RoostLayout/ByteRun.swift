/// Consecutive bytes of a region.
public struct ByteRun: Hashable, Sendable {
  /// Where the first byte lies, from the start of the region.
  public let offset: Int
  /// How many bytes.
  public let byteCount: Int

  /// Makes a run.
  public init(offset: Int, byteCount: Int) {
    self.offset = offset
    self.byteCount = byteCount
  }
}

/// Equal runs at regular distances: nested loops, outermost first, over a contiguous run.
public struct StridedRuns: Hashable, Sendable {
  /// One loop: how many steps, and how many bytes apart.
  public struct Loop: Hashable, Sendable {
    /// Steps, at least 2.
    public let count: Int
    /// Bytes from one step to the next.
    public let strideBytes: Int
  }

  /// Where the first run starts.
  public let offset: Int
  /// The loops, largest stride first.
  public let loops: [Loop]
  /// Bytes of one run.
  public let run: Int
}
