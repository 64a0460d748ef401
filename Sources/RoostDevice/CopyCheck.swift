import RoostPrimitives

/// What can be seen of a wrong copy without knowing the caller's memory: the null page and addresses that wrap around.
/// An accelerator reports these the same way: late, through its stream.
public enum CopyCheck {
  /// The first page is never mapped.
  @usableFromInline static let addressMin: UInt = 4096

  /// Whether a piece may point at memory. An empty piece may have any address.
  @inlinable @inline(__always) public static func isValid(_ piece: CopyPiece) -> Bool {
    guard piece.byteCount > 0 else { return true }
    let sourceEnd = piece.source.addingReportingOverflow(piece.byteCount)
    let targetEnd = piece.target.addingReportingOverflow(piece.byteCount)
    return piece.source >= addressMin && piece.target >= addressMin && !sourceEnd.overflow && !targetEnd.overflow
  }

  /// The error of a bad piece.
  public static func error(of piece: CopyPiece, index: Int) -> RoostError {
    error(source: piece.source, target: piece.target, byteCount: "\(piece.byteCount)", index: index)
  }

  /// The error of a strided copy; nil if it is right.
  public static func error(in rows: StridedCopy) -> RoostError? {
    guard rows.rowByteCount > 0, rows.rowCount > 0 else {
      return rows.rowByteCount < 0 || rows.rowCount < 0 ? error(of: rows) : nil
    }
    guard rows.sourcePitch >= rows.rowByteCount, rows.targetPitch >= rows.rowByteCount,
      let sourceBytes = extent(rows, pitch: rows.sourcePitch), let targetBytes = extent(rows, pitch: rows.targetPitch),
      isValid(CopyPiece(source: rows.source, target: rows.source, byteCount: sourceBytes)),
      isValid(CopyPiece(source: rows.target, target: rows.target, byteCount: targetBytes))
    else { return error(of: rows) }
    return nil
  }

  private static func extent(_ rows: StridedCopy, pitch: Int) -> UInt? {
    let (steps, overflow) = (rows.rowCount - 1).multipliedReportingOverflow(by: pitch)
    let (sum, carry) = steps.addingReportingOverflow(rows.rowByteCount)
    return overflow || carry ? nil : UInt(sum)
  }

  private static func error(of rows: StridedCopy) -> RoostError {
    error(
      source: rows.source, target: rows.target, byteCount: "\(rows.rowCount) rows of \(rows.rowByteCount)", index: 0)
  }

  private static func error(source: UInt, target: UInt, byteCount: String, index: Int) -> RoostError {
    RoostError(
      .invalidInput, "a copy points at no memory",
      context: [
        ("piece", "\(index)"), ("source", "0x" + String(source, radix: 16)),
        ("target", "0x" + String(target, radix: 16)), ("bytes", byteCount),
      ])
  }
}
