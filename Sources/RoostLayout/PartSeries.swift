/// Parts with the same loops, one after another at a constant distance: they become one part with one more loop.
struct PartSeries {
  private var sourceOffset = 0
  private var targetOffset = 0
  private(set) var loops: [CopyLoop] = []
  private(set) var run = 0
  private var sourceStride = 0
  private var targetStride = 0

  /// How many parts; none in the beginning.
  private(set) var count = 0

  init() {}

  /// A series of one.
  init(sourceOffset: Int, targetOffset: Int, loops: [CopyLoop], run: Int) {
    self.sourceOffset = sourceOffset
    self.targetOffset = targetOffset
    self.loops = loops
    self.run = run
    count = 1
  }

  /// Takes another part with the same loops and run. Where it is not due at this place, what cannot continue goes to
  /// `parts`: of two parts the first, so that a distance met by chance does not tear the next series apart.
  mutating func extend(sourceOffset: Int, targetOffset: Int, into parts: inout [CopyPart]) {
    let isDue =
      count > 1 && sourceOffset - self.sourceOffset == count * sourceStride
      && targetOffset - self.targetOffset == count * targetStride
    if isDue {
      count += 1
      return
    }
    if count == 2 {
      appendFirst(to: &parts)
      self.sourceOffset += sourceStride
      self.targetOffset += targetStride
      count = 1
    } else if count > 2 {
      close(into: &parts)
      self.sourceOffset = sourceOffset
      self.targetOffset = targetOffset
      count = 1
      return
    }
    sourceStride = sourceOffset - self.sourceOffset
    targetStride = targetOffset - self.targetOffset
    guard sourceStride < 0 || targetStride <= 0 else {
      count = 2
      return
    }
    appendFirst(to: &parts)  // steps back are no loop: strides stay positive
    self.sourceOffset = sourceOffset
    self.targetOffset = targetOffset
  }

  /// Writes the series out, as one part.
  mutating func close(into parts: inout [CopyPart]) {
    guard count > 1 else {
      if count == 1 { appendFirst(to: &parts) }
      count = 0
      return
    }
    var list = LoopList()
    for loop in loops { list.append(loop) }
    list.append(CopyLoop(count: count, sourceStride: sourceStride, targetStride: targetStride))
    let longRun = list.coalesce(run: run)
    parts.append(
      CopyPart(sourceOffset: sourceOffset, targetOffset: targetOffset, loops: list.array, run: longRun))
    count = 0
  }

  private func appendFirst(to parts: inout [CopyPart]) {
    parts.append(CopyPart(sourceOffset: sourceOffset, targetOffset: targetOffset, loops: loops, run: run))
  }
}
