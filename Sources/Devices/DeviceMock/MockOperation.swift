import RoostDevice
import RoostPrimitives
import Synchronization

/// What a stream does, in order.
enum MockOperation {
  case copy(MockCopy)
  case record(MockRecording)
  case wait(MockRecording)
  case call(@Sendable () -> Void)
}

/// A copy under way: pieces in the order in which they are made, and how many are done. A piece that stands alone is
/// cut in two, so that no copy is seen at once and whole.
struct MockCopy {
  let pieces: [CopyPiece]
  let direction: CopyDirection
  /// Wrong from the start: found when the copy has its turn, as a device would.
  let error: RoostError?
  private var doneCount = 0
  private var lastPartStart = 0
  private let partCount: Int

  init(_ pieces: [CopyPiece], _ direction: CopyDirection, error: RoostError? = nil, using random: inout SplitMix64) {
    let solid = pieces.filter { $0.byteCount > 0 }
    self.pieces = solid.count == 1 ? MockCopy.cut(solid[0], using: &random) : solid.shuffled(using: &random)
    self.direction = direction
    self.error = error
    let parts = Int.random(in: 1...Limits.copyPartCountMax, using: &random)
    partCount = max(1, (self.pieces.count + parts - 1) / parts)
  }

  private static func cut(_ piece: CopyPiece, using random: inout SplitMix64) -> [CopyPiece] {
    guard piece.byteCount > 1 else { return [piece] }
    let first = UInt.random(in: 1..<piece.byteCount, using: &random)
    // Wraps only for a piece that ends beyond the address space, which is refused when its turn comes.
    let rest = CopyPiece(
      source: piece.source &+ first, target: piece.target &+ first, byteCount: piece.byteCount - first)
    return [CopyPiece(source: piece.source, target: piece.target, byteCount: first), rest].shuffled(using: &random)
  }

  var isDone: Bool { doneCount == pieces.count }

  /// Takes the next part.
  mutating func takePart() -> ArraySlice<CopyPiece> {
    let part = pieces[doneCount..<min(pieces.count, doneCount + partCount)]
    lastPartStart = doneCount
    doneCount = part.endIndex
    return part
  }

  /// Gives the last part back: it was not made.
  mutating func returnPart() { doneCount = lastPartStart }
}

/// One recording of an event: completes once, at a moment of the mock's own time.
final class MockRecording: Sendable {
  private let moment = Atomic<UInt64>(0)

  /// When it completed; nil before.
  var completedAt: UInt64? {
    let moment = moment.load(ordering: .acquiring)
    return moment == 0 ? nil : moment
  }

  var isComplete: Bool { completedAt != nil }

  func complete(at time: UInt64) { moment.store(max(1, time), ordering: .releasing) }
}
