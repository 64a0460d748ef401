extension HazardSegments {
  /// Blocks in a row that move on together, oldest first; linked among themselves.
  private struct Run {
    var first = HazardBlock.none
    var last = HazardBlock.none
    var count = 0
    /// No block in it was touched later than this.
    var youngest = -Double.infinity
  }

  /// Moves blocks that have outlived their bin to the next ones, youngest bin first, and counts them there.
  func age(_ side: Int, to now: Double, _ model: borrowing HazardModel) {
    for row in 0..<model.rowCount where now >= due[HazardSegments.part(row, side)] { age(row, side, now, model) }
  }

  /// One class. What leaves a bin is carried to the next one, where it goes on if all that were there before go on too:
  /// so a block that has outlived many bins since the last time is linked and marked once.
  private func age(_ row: Int, _ side: Int, _ now: Double, _ model: borrowing HazardModel) {
    let part = HazardSegments.part(row, side)
    due[part] = .infinity
    var carried = Run()
    var bin = 0
    while true {
      if carried.count == 0 {
        let rest = filled[part] >> UInt64(bin)
        if rest == 0 { return }
        bin += rest.trailingZeroBitCount
      } else {
        model.enter(HazardModel.cell(row, bin), count: carried.count)
      }
      carried = pass(carried, through: bin, part, now)
      if filled[part] >> UInt64(bin) & 1 != 0 { noteFirst(queue(part, bin).pointee.first, part, bin) }
      bin += 1
      if bin == HazardModel.binCount { return }
    }
  }

  /// Brings a run into a bin. Returns what goes on from there: the oldest of the bin and of the run, as far as they
  /// have outlived it.
  private func pass(_ run: Run, through bin: Int, _ part: Int, _ now: Double) -> Run {
    let queue = queue(part, bin)
    var own = Run()
    if queue.pointee.count > 0 {
      own = Run(
        first: queue.pointee.first, last: queue.pointee.last, count: queue.pointee.count,
        youngest: queue.pointee.youngest)
    }
    var leaving = split(&own, now, bin)
    if own.count > 0 {
      join(&own, run, mark: bin)
    } else {
      var rest = run
      let passing = split(&rest, now, bin)
      join(&leaving, passing, mark: nil)
      join(&own, rest, mark: bin)
    }
    queue.pointee = Queue(first: own.first, last: own.last, count: own.count, youngest: own.youngest)
    if own.count > 0 { filled[part] |= 1 << UInt64(bin) } else { filled[part] &= ~(1 << UInt64(bin)) }
    return leaving
  }

  /// Cuts off the first blocks of a run, those that have outlived a bin.
  private func split(_ run: inout Run, _ now: Double, _ bin: Int) -> Run {
    let limit = limits[bin]
    guard run.count > 0 else { return run }
    if now - run.youngest >= limit {
      defer { run = Run() }
      return run
    }
    var leaving = Run(first: run.first)
    var number = run.first
    while number != HazardBlock.none {
      let touched = blocks[Int(number)].touched
      guard now - touched >= limit else { break }
      leaving.last = number
      leaving.count += 1
      leaving.youngest = max(leaving.youngest, touched)
      number = blocks[Int(number)].next
    }
    guard leaving.count > 0 else { return Run() }
    run.count -= leaving.count
    run.first = number
    guard number != HazardBlock.none else {
      run = Run()
      return leaving
    }
    blocks[Int(leaving.last)].next = HazardBlock.none
    blocks[Int(number)].previous = HazardBlock.none
    return leaving
  }

  /// Puts a run behind another one; with a `mark`, its blocks are in that bin now.
  private func join(_ run: inout Run, _ more: Run, mark bin: Int?) {
    guard more.count > 0 else { return }
    if let bin {
      var number = more.first
      while number != HazardBlock.none {
        blocks[Int(number)].bin = UInt8(truncatingIfNeeded: bin)
        number = blocks[Int(number)].next
      }
    }
    if run.count == 0 {
      run = more
    } else {
      blocks[Int(run.last)].next = more.first
      blocks[Int(more.first)].previous = run.last
      run.last = more.last
      run.count += more.count
      run.youngest = max(run.youngest, more.youngest)
    }
  }
}
