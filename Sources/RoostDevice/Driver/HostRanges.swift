import RoostPrimitives

/// The host memory that a device reaches: what was allocated or registered through it. Thread-safe.
public final class HostRanges: Sendable {
  /// Start and end of each range, by address.
  private let bounds = Locked<[UInt]>([])

  /// None yet.
  public init() {}

  /// Adds a range.
  public func add(_ range: Range<UInt>) {
    bounds.withLock { list in
      var index = 0
      while index < list.count, list[index] < range.lowerBound { index += 2 }
      list.insert(contentsOf: [range.lowerBound, range.upperBound], at: index)
    }
  }

  /// Takes the range that begins at an address off the list.
  public func remove(startingAt address: UInt) {
    bounds.withLock { list in
      var index = 0
      while index < list.count {
        if list[index] == address {
          list.removeSubrange(index..<index + 2)
          return
        }
        index += 2
      }
    }
  }

  /// Start and end of each range as they are now, sorted, while the closure runs.
  public func withBounds<Result>(_ body: (UnsafeBufferPointer<UInt>) -> Result) -> Result {
    let list = bounds.withLock { $0 }
    return list.withUnsafeBufferPointer(body)
  }

  /// Whether the host's side of every piece lies in one of the ranges; true where neither side is the host's.
  public func cover(_ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection) -> Bool {
    guard direction != .deviceToDevice else { return true }
    return withBounds { bounds in
      var (first, last): (UInt, UInt) = (0, 0)
      for piece in pieces where piece.byteCount > 0 {
        let address = direction == .hostToDevice ? piece.source : piece.target
        if address >= first, address + piece.byteCount <= last { continue }
        var (low, high) = (0, bounds.count / 2)
        while low < high {
          let middle = (low + high) / 2
          if bounds[2 * middle] <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0, address + piece.byteCount <= bounds[2 * low - 1] else { return false }
        (first, last) = (bounds[2 * low - 2], bounds[2 * low - 1])
      }
      return true
    }
  }
}
