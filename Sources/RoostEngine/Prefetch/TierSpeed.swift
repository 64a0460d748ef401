/// How fast a tier delivers, measured: an exponentially weighted mean over batches. A value; time is handed in.
///
/// Batches overlap, so each is charged with the time since the one before it ended, or since it began if that is later:
/// their sum over time is the bandwidth that a request sees.
public struct TierSpeed: Sendable, Hashable {
  private var mean = 0.0
  private var lastEnd: UInt64 = 0

  /// Nothing measured.
  public init() {}

  /// A batch has arrived. Times in nanoseconds.
  public mutating func note(byteCount: Int, from start: UInt64, to end: UInt64) {
    guard byteCount > 0 else { return }
    let seconds = Double(max(1000, end &- min(end, max(start, lastEnd)))) / 1e9
    let sample = Double(byteCount) / seconds
    mean = mean == 0 ? sample : mean + Limits.speedWeight * (sample - mean)
    lastEnd = end
  }

  /// Bytes a second; nil if nothing was measured lately: what was slow once deserves another try.
  public func bytesPerSecond(at now: UInt64) -> Double? {
    guard mean > 0, now &- min(now, lastEnd) <= Limits.speedMemoryNanoseconds else { return nil }
    return mean
  }

  /// The last known speed, 0 if there is none.
  public var lastBytesPerSecond: Double { mean }
}

/// Whether pages are brought from a tier or computed again.
public enum LoadDecision: Sendable, Hashable {
  /// Bring them.
  case load
  /// Compute them.
  case recompute

  /// What a decision is made from.
  public struct Question: Sendable, Hashable {
    /// The bytes of the pages.
    public var byteCount: Int
    /// Bytes that the tier has to deliver before.
    public var queuedByteCount: Int
    /// What the tier delivers, nil if unknown.
    public var bytesPerSecond: Double?
    /// The tokens that the pages stand for.
    public var tokenCount: Int
    /// What the model computes, nil if unknown.
    public var prefillTokensPerSecond: Double?

    /// Puts them together.
    public init(
      byteCount: Int, queuedByteCount: Int, bytesPerSecond: Double?, tokenCount: Int, prefillTokensPerSecond: Double?
    ) {
      self.byteCount = byteCount
      self.queuedByteCount = queuedByteCount
      self.bytesPerSecond = bytesPerSecond
      self.tokenCount = tokenCount
      self.prefillTokensPerSecond = prefillTokensPerSecond
    }
  }

  /// The faster way; loading where something is unknown, which is how it becomes known, and where both are equal: the
  /// accelerator has other work. A pure function.
  public static func choose(_ question: Question) -> LoadDecision {
    guard let speed = question.bytesPerSecond, speed > 0, let prefill = question.prefillTokensPerSecond, prefill > 0
    else { return .load }
    let loadSeconds = Double(question.byteCount + question.queuedByteCount) / speed
    return loadSeconds <= Double(question.tokenCount) / prefill ? .load : .recompute
  }
}
