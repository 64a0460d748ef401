/// A fixed-size list of loops on the stack: planning allocates only what it returns.
struct LoopList {
  private var storage = InlineArray<64, CopyLoop>(repeating: CopyLoop(count: 0, sourceStride: 0, targetStride: 0))
  private(set) var count = 0

  subscript(index: Int) -> CopyLoop {
    get { storage[index] }
    set { storage[index] = newValue }
  }

  /// Adds a loop at the inner end; loops of one step are dropped. Products of counts are at most 2^60, so that there
  /// are never more than 60 loops (`Limits.loopCountMax`).
  mutating func append(_ loop: CopyLoop) {
    guard loop.count > 1 else { return }
    precondition(count < Limits.loopCountMax, "loops of at least two steps, of at most 2^60 in all")
    storage[count] = loop
    count += 1
  }

  mutating func removeAll() { count = 0 }

  /// The loops as an array, outermost first.
  var array: [CopyLoop] {
    guard count > 0 else { return [] }
    return [CopyLoop](unsafeUninitializedCapacity: count) { buffer, initialized in
      for index in 0..<count { buffer.initializeElement(at: index, to: storage[index]) }
      initialized = count
    }
  }

  /// Whether the loops are those of `array`.
  func equals(_ array: [CopyLoop]) -> Bool {
    guard count == array.count else { return false }
    for index in 0..<count where storage[index] != array[index] { return false }
    return true
  }

  /// Brings the loops into the canonical form and answers the run: sorted by target stride, then source stride,
  /// largest first; loops that only continue the run absorbed into it; neighbours that are one loop made one.
  mutating func coalesce(run item: Int) -> Int {
    sort()
    var run = item
    var kept = Limits.loopCountMax  // the result grows from the end of the storage, innermost last
    var index = count - 1
    while index >= 0 {
      let loop = storage[index]
      if kept == Limits.loopCountMax, loop.sourceStride == run, loop.targetStride == run {
        run &*= loop.count
      } else if kept < Limits.loopCountMax, storage[kept].continues(into: loop) {
        storage[kept].count &*= loop.count
      } else {
        kept -= 1
        storage[kept] = loop
      }
      index -= 1
    }
    count = Limits.loopCountMax - kept
    if kept > 0 {
      for index in 0..<count { storage[index] = storage[kept + index] }
    }
    return run
  }

  /// Insertion sort: a handful of loops, often in order already.
  private mutating func sort() {
    guard count > 1 else { return }
    for end in 1..<count {
      let loop = storage[end]
      var slot = end
      while slot > 0, storage[slot - 1].isInside(loop) {
        storage[slot] = storage[slot - 1]
        slot -= 1
      }
      storage[slot] = loop
    }
  }
}

extension CopyLoop {
  /// Whether this loop belongs inside `other`: its target stride is smaller, or equal with a smaller source stride.
  fileprivate func isInside(_ other: CopyLoop) -> Bool {
    targetStride != other.targetStride ? targetStride < other.targetStride : sourceStride < other.sourceStride
  }

  /// Whether a step of `outer` is where this loop's next step would be, so that both are one longer loop.
  fileprivate func continues(into outer: CopyLoop) -> Bool {
    outer.sourceStride == count &* sourceStride && outer.targetStride == count &* targetStride
  }
}
