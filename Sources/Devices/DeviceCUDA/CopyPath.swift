import RoostDevice

/// How a batch of copies is handed to the device.
public enum CopyPath: String, Sendable, CaseIterable {
  /// One call a piece.
  case loop
  /// The driver's batch call; a loop where it has none.
  case batch
  /// A kernel that reads and writes host memory; the batch call where that cannot be.
  case kernel
}

/// Which path is best for which batch: a rule, and what was measured. A plain value.
public struct CopyPathTable: Sendable {
  /// Piece sizes at which measurements are made, in bytes, rising. A size between two takes the larger one's.
  public static let pieceBytes = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10]
  /// Counts at which measurements are made, rising. A count between two takes the smaller one's.
  public static let counts = [16, 64, 256, 1024]

  private var measured: [CopyDirection: [CopyPath?]] = [:]
  private let hasBatch: Bool

  /// The rule alone.
  public init(hasBatch: Bool) { self.hasBatch = hasBatch }

  /// Whether anything was measured.
  public var isMeasured: Bool { !measured.isEmpty }

  /// Notes the best path at a measured point.
  public mutating func set(_ path: CopyPath, _ direction: CopyDirection, sizeIndex: Int, countIndex: Int) {
    var row = measured[direction] ?? Array(repeating: nil, count: Self.pieceBytes.count * Self.counts.count)
    row[sizeIndex * Self.counts.count + countIndex] = path
    measured[direction] = row
  }

  /// The path for `count` pieces of this size on average.
  public func path(_ direction: CopyDirection, pieceBytes: Int, count: Int) -> CopyPath {
    guard count >= Limits.kernelPieceCountMin else { return .batch }
    guard let row = measured[direction] else {
      let limit = hasBatch ? Limits.kernelPieceBytesMax : Limits.kernelPieceBytesMaxWithoutBatch
      return direction == .deviceToDevice || pieceBytes < limit ? .kernel : .batch
    }
    guard let size = Self.pieceBytes.firstIndex(where: { pieceBytes <= $0 }) else { return .batch }
    let rank = Self.counts.lastIndex { count >= $0 } ?? 0
    return row[size * Self.counts.count + rank] ?? .batch
  }
}
