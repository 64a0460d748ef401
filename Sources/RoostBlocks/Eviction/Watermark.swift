import RoostPrimitives

/// When to evict in the background, and how much: so that a store finds free slots and need not evict itself.
public struct Watermark: Sendable, Hashable {
  /// Eviction starts when more than this share of the slots is in use.
  public let start: Double
  /// It goes on until at most this share is in use.
  public let stop: Double
  /// At most this share of the slots is evicted in one go, so that no single call is long.
  public let ratio: Double

  /// Checks and wraps the three shares.
  ///
  /// - Throws: `invalidInput` unless 0 <= stop <= start <= 1 and 0 < ratio <= 1.
  public init(start: Double, stop: Double, ratio: Double = 1) throws(RoostError) {
    guard 0 <= stop, stop <= start, start <= 1, 0 < ratio, ratio <= 1 else {
      throw RoostError(
        .invalidInput, "a watermark needs 0 <= stop <= start <= 1 and 0 < ratio <= 1",
        context: [("start", "\(start)"), ("stop", "\(stop)"), ("ratio", "\(ratio)")])
    }
    self.start = start
    self.stop = stop
    self.ratio = ratio
  }

  /// Slots to evict now, when `used` of `capacity` slots are in use.
  public func excess(used: Int, capacity: Int) -> Int {
    guard capacity > 0, Double(used) > start * Double(capacity) else { return 0 }
    let whole = used - Int(stop * Double(capacity))
    return max(0, min(whole, max(1, Int(ratio * Double(capacity)))))
  }
}
