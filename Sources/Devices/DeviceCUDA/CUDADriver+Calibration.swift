import Glibc
import RoostDevice
import RoostPrimitives

/// Finds out which way of copying is best here: the crossover between kernels and the batch call differs from machine to
/// machine, and by the number of pieces (vLLM #57569).
extension CUDADriver {
  /// What batches go by now: the rule, or what was measured.
  public var copyPaths: CopyPathTable { paths.withLock { $0 } }

  /// Measures, once, before the first stream is used: some tenths of a second. Keeps the rule where there is nothing to
  /// choose, or no memory to measure with.
  func calibrate() throws(RoostError) {
    guard configuration.calibrates, configuration.path == nil, hasKernels else { return }
    var measured = copyPaths
    do throws(RoostError) {
      try withArena { (arena) throws(RoostError) in
        for direction in [CopyDirection.deviceToHost, .hostToDevice] {
          for size in CopyPathTable.pieceBytes.indices {
            var best = CopyPath.batch
            for count in CopyPathTable.counts.indices {
              // Where the arena is too small, what holds for fewer pieces holds.
              if let found = try fastest(direction, sizeIndex: size, countIndex: count, in: arena) { best = found }
              measured.set(best, direction, sizeIndex: size, countIndex: count)
            }
          }
        }
      }
      paths.withLock { [measured] in $0 = measured }
    } catch {
      if error.code == .lost { throw error }
      Log.write(.info, "\(description.uri) copies by rule, not by measurement: \(error)")
    }
  }

  /// Memory and a stream to measure with.
  private struct Arena {
    var device: UInt
    var host: UInt
    var stream: DriverHandle
  }

  private func withArena(_ body: (Arena) throws(RoostError) -> Void) throws(RoostError) {
    let byteCount = Limits.calibrationBytes
    let device = try allocate(byteCount: byteCount)
    defer { try? free(device) }
    let host = try allocateHost(byteCount: byteCount)
    defer { try? freeHost(host) }
    let stream = try createStream(priority: .normal)
    defer { try? destroyStream(stream) }
    let result = Result { () throws(RoostError) in try body(Arena(device: device, host: host, stream: stream)) }
    // On a busy machine measuring is given up while copies run: their memory is not freed under them.
    let patience = Deadline.after(seconds: Limits.calibrationEndSeconds)
    while (try? isIdle(stream)) == false, !patience.hasPassed() { sched_yield() }
    try result.get()
  }

  /// The faster path at one point of the table; nil if the arena is too small for it, or no kernel can run.
  private func fastest(
    _ direction: CopyDirection, sizeIndex: Int, countIndex: Int, in arena: Arena
  ) throws(RoostError) -> CopyPath? {
    let (size, count) = (CopyPathTable.pieceBytes[sizeIndex], CopyPathTable.counts[countIndex])
    guard size * count <= Limits.calibrationBytes else { return nil }
    // The device's side backwards, so that no two pieces are one run.
    let pieces = (0..<count).map { number -> CopyPiece in
      let host = arena.host + UInt(number * size)
      let device = arena.device + UInt((count - 1 - number) * size)
      return direction == .hostToDevice
        ? CopyPiece(source: host, target: device, byteCount: UInt(size))
        : CopyPiece(source: device, target: host, byteCount: UInt(size))
    }
    return try pieces.withUnsafeBufferPointer { pieces throws(RoostError) -> CopyPath? in
      let survey = ranges.survey(pieces, direction)
      var isLaunched = true
      let byKernel = try seconds(on: arena.stream) { () throws(RoostError) in
        isLaunched = try copyByKernel(pieces, survey, on: arena.stream) && isLaunched
      }
      guard isLaunched else { return nil }
      let byCalls = try seconds(on: arena.stream) { () throws(RoostError) in
        try copyByCalls(pieces, isBatch: true, on: arena.stream)
      }
      return byKernel < byCalls ? .kernel : .batch
    }
  }

  /// The faster of two rounds.
  private func seconds(
    on stream: DriverHandle, _ submit: () throws(RoostError) -> Void
  ) throws(RoostError) -> Double {
    let clock = MonotonicClock()
    var best = UInt64.max
    for _ in 0..<2 {
      let start = clock.nanoseconds
      let deadline = Deadline.after(seconds: Limits.calibrationSeconds)
      try submit()
      while try !isIdle(stream) {
        if deadline.hasPassed() {
          throw RoostError(.timedOut, "copies to measure with took longer than \(Limits.calibrationSeconds) s")
        }
        sched_yield()
      }
      best = min(best, clock.nanoseconds - start)
    }
    return Double(best) / 1e9
  }
}
