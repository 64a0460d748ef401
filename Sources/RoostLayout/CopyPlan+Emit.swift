import RoostPrimitives

extension CopyPlan {
  /// Writes the copy's pieces into `pieces` and answers how many, which is `pieceCount`.
  ///
  /// Part by part, each part in the order of its loops; a piece is one run. `sourceBase` and `targetBase` are the
  /// addresses (or offsets) of byte 0 of each layout. Allocates nothing. `pieces` must hold `pieceCount`.
  @discardableResult
  public func emit(
    sourceBase: UInt, targetBase: UInt, into pieces: UnsafeMutableBufferPointer<CopyPiece>
  ) -> Int {
    precondition(pieces.count >= pieceCount, "the buffer must hold all pieces of the plan")
    guard var output = pieces.baseAddress else { return 0 }
    for index in parts.indices {
      output += parts[index].emit(sourceBase: sourceBase, targetBase: targetBase, to: output)
    }
    return pieceCount
  }
}

extension CopyPart {
  /// Writes this part's pieces and answers how many.
  ///
  /// 1. The innermost loops are written out as a template of at most `templateCountMax` pieces, at the start of the
  ///    output itself. 2. The loop that does not fit whole gives the template as many steps as do fit. 3. The
  ///    loops around repeat the template, which stays in the first-level cache, with their strides added.
  func emit(sourceBase: UInt, targetBase: UInt, to output: UnsafeMutablePointer<CopyPiece>) -> Int {
    output.pointee = CopyPiece(
      source: sourceBase &+ UInt(bitPattern: sourceOffset), target: targetBase &+ UInt(bitPattern: targetOffset),
      byteCount: UInt(bitPattern: run))
    var template = PieceTemplate(start: output)
    var level = loops.count - 1
    while level >= 0, template.count &* loops[level].count <= Limits.templateCountMax {
      template.repeatInPlace(loops[level], count: loops[level].count)
      level -= 1
    }
    guard level >= 0 else { return template.count }
    let row = loops[level]
    let unitCount = template.count
    let stepCount = max(1, Limits.templateCountMax / unitCount)
    template.repeatInPlace(row, count: stepCount)
    let rowWriter = PieceRow(
      template: template, sourceStep: UInt(bitPattern: row.sourceStride &* stepCount),
      targetStep: UInt(bitPattern: row.targetStride &* stepCount), wholeCount: row.count / stepCount,
      tailCount: row.count % stepCount &* unitCount)
    var position = rowWriter.write(to: output, source: 0, target: 0, skippingFirst: true)
    guard level > 0 else { return position }
    var counters = InlineArray<64, Int>(repeating: 0)
    var source: UInt = 0
    var target: UInt = 0
    var outer = level - 1
    while outer >= 0 {
      let loop = loops[outer]
      counters[outer] &+= 1
      if counters[outer] < loop.count {
        source &+= UInt(bitPattern: loop.sourceStride)
        target &+= UInt(bitPattern: loop.targetStride)
        position &+= rowWriter.write(to: output + position, source: source, target: target, skippingFirst: false)
        outer = level - 1
      } else {
        source &-= UInt(bitPattern: (loop.count &- 1) &* loop.sourceStride)
        target &-= UInt(bitPattern: (loop.count &- 1) &* loop.targetStride)
        counters[outer] = 0
        outer -= 1
      }
    }
    return position
  }
}

/// The first pieces of a part, which all others repeat with something added.
private struct PieceTemplate {
  let start: UnsafeMutablePointer<CopyPiece>
  var count = 1

  /// Grows `steps`-fold by doubling: step `k` is the template with `k` strides added.
  @inline(__always) mutating func repeatInPlace(_ loop: CopyLoop, count steps: Int) {
    var done = 1
    while done < steps {
      let next = min(done, steps &- done)
      write(
        next &* count, to: start + done &* count, source: UInt(bitPattern: done &* loop.sourceStride),
        target: UInt(bitPattern: done &* loop.targetStride))
      done &+= next
    }
    count &*= steps
  }

  /// Copies the first `count` pieces with offsets added, four pieces (twelve words) at a time.
  @inline(__always)
  func write(_ count: Int, to output: UnsafeMutablePointer<CopyPiece>, source: UInt, target: UInt) {
    typealias Words = SIMD4<UInt>
    let first = Words(source, target, 0, source)
    let second = Words(target, 0, source, target)
    let third = Words(0, source, target, 0)
    let from = UnsafeRawPointer(start)
    let to = UnsafeMutableRawPointer(output)
    let wholeCount = count & ~3
    var index = 0
    while index < wholeCount {
      let offset = index &* 24
      to.storeBytes(
        of: from.loadUnaligned(fromByteOffset: offset, as: Words.self) &+ first, toByteOffset: offset, as: Words.self)
      to.storeBytes(
        of: from.loadUnaligned(fromByteOffset: offset &+ 32, as: Words.self) &+ second, toByteOffset: offset &+ 32,
        as: Words.self)
      to.storeBytes(
        of: from.loadUnaligned(fromByteOffset: offset &+ 64, as: Words.self) &+ third, toByteOffset: offset &+ 64,
        as: Words.self)
      index &+= 4
    }
    while index < count {
      let piece = start[index]
      output[index] = CopyPiece(
        source: piece.source &+ source, target: piece.target &+ target, byteCount: piece.byteCount)
      index &+= 1
    }
  }
}

/// One pass over the loop of which the template holds as many steps as fit.
private struct PieceRow {
  let template: PieceTemplate
  let sourceStep: UInt
  let targetStep: UInt
  /// How often the template fits into the loop.
  let wholeCount: Int
  /// Pieces of the template that are left over then.
  let tailCount: Int

  /// Writes all steps, with offsets added, and answers how many pieces that are.
  @inline(__always)
  func write(to output: UnsafeMutablePointer<CopyPiece>, source: UInt, target: UInt, skippingFirst: Bool) -> Int {
    var source = source
    var target = target
    var position = 0
    for index in 0..<wholeCount {
      if index > 0 || !skippingFirst {
        template.write(template.count, to: output + position, source: source, target: target)
      }
      position &+= template.count
      source &+= sourceStep
      target &+= targetStep
    }
    template.write(tailCount, to: output + position, source: source, target: target)
    return position &+ tailCount
  }
}
