import CRoostVendors
import RoostDevice
import RoostPrimitives
import Synchronization

/// Copies. The driver tells the direction by the addresses.
extension CUDADriver {
  /// One piece is one call; a batch takes the path that its sizes and its memory allow.
  public func copy(
    _ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection, on stream: DriverHandle
  ) throws(RoostError) {
    if pieces.count == 1 {
      let piece = pieces[0]
      guard piece.byteCount > 0 else { return }
      return try call(on: stream, "MemcpyAsync") {
        $0.pointee.copy(
          roost_cuda_address(piece.target), roost_cuda_address(piece.source), Int(piece.byteCount), pointer(stream))
      }
    }
    let survey = ranges.survey(pieces, direction)
    guard survey.largest > 0 else { return }
    let chosen =
      configuration.path
      ?? paths.withLock { $0.path(direction, pieceBytes: survey.total / pieces.count, count: pieces.count) }
    if chosen == .kernel, survey.is_aligned != 0, survey.is_reachable != 0,
      try copyByKernel(pieces, survey, on: stream)
    {
      return
    }
    // The batch call is for memory that the driver knows; others it takes one by one.
    try copyByCalls(pieces, isBatch: chosen != .loop && survey.is_reachable != 0, on: stream)
  }

  func copyByCalls(
    _ pieces: UnsafeBufferPointer<CopyPiece>, isBatch: Bool, on stream: DriverHandle
  ) throws(RoostError) {
    let raw = UnsafeRawPointer(pieces.baseAddress)?.assumingMemoryBound(to: roost_cuda_piece.self)
    let batch = isBatch ? batches.withLock { $0.popLast() } ?? CUDABatch() : nil
    defer { if let batch { batches.withLock { $0.append(batch) } } }
    var function: UnsafePointer<CChar>?
    // In the stream's order always: with any other, the copy may read what an earlier one or another stream, which this
    // one waits for, has not written yet.
    let order = CInt(ROOST_CUDA_STREAM_ORDER)
    try call(function.map { String(cString: $0) } ?? "MemcpyAsync") { _ in
      roost_cuda_copy_pieces(library.table, raw, pieces.count, order, batch?.arrays, pointer(stream), &function)
    }
  }

  /// The 2-D call; row by row where a pitch is wider than it takes.
  public func copy(_ rows: StridedCopy, _ direction: CopyDirection, on stream: DriverHandle) throws(RoostError) {
    guard max(rows.sourcePitch, rows.targetPitch) <= Limits.pitchMax else {
      for row in 0..<rows.rowCount {
        try call("MemcpyAsync") {
          $0.pointee.copy(
            roost_cuda_address(rows.target + UInt(row * rows.targetPitch)),
            roost_cuda_address(rows.source + UInt(row * rows.sourcePitch)), rows.rowByteCount, pointer(stream))
        }
      }
      return
    }
    var call2D = roost_cuda_rows()
    // CU_MEMORYTYPE: the host's side is named as such, because unregistered memory is not unified.
    let (host, device): (CInt, CInt) = (1, 2)
    call2D.source_type = direction == .hostToDevice ? host : device
    call2D.target_type = direction == .deviceToHost ? host : device
    call2D.source_host = UnsafeRawPointer(bitPattern: rows.source)
    call2D.source_device = roost_cuda_address(rows.source)
    call2D.target_host = UnsafeMutableRawPointer(bitPattern: rows.target)
    call2D.target_device = roost_cuda_address(rows.target)
    call2D.source_pitch = rows.sourcePitch
    call2D.target_pitch = rows.targetPitch
    call2D.width = rows.rowByteCount
    call2D.height = rows.rowCount
    try call("Memcpy2DAsync_v2") { $0.pointee.copy_rows(&call2D, pointer(stream)) }
  }

  // MARK: - Kernels

  /// Loads the kernels, once. Where the driver cannot compile them, the copy engines do the work.
  func prepareKernels() throws(RoostError) {
    guard configuration.vendor.readsPTX,
      arePrepared.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
    else { return }
    do throws(RoostError) {
      guard try reachesHostAddresses(), let made = try CUDAKernels(self) else { return }
      kernels.withLock { $0 = made }
      try calibrate()
    } catch {
      arePrepared.store(false, ordering: .releasing)
      throw error
    }
  }

  /// Whether kernels could be loaded.
  public var hasKernels: Bool { kernels.withLock { $0 != nil } }

  /// False: there are no kernels, or they are all busy.
  func copyByKernel(
    _ pieces: UnsafeBufferPointer<CopyPiece>, _ survey: roost_cuda_survey, on stream: DriverHandle
  ) throws(RoostError) -> Bool {
    guard pieces.count <= Limits.batchCountMax else { return false }
    return try kernels.withLock { kernels throws(RoostError) -> Bool in
      guard let kernels else { return false }
      return try kernels.launch(pieces, survey, on: stream, self)
    }
  }
}

/// Three arrays for a batch call. Used by one call at a time.
final class CUDABatch: @unchecked Sendable {
  let arrays: UnsafeMutablePointer<roost_cuda_batch>

  init() {
    let capacity = Limits.batchCountMax
    arrays = .allocate(capacity: 1)
    arrays.initialize(
      to: roost_cuda_batch(
        targets: .allocate(capacity: capacity), sources: .allocate(capacity: capacity),
        sizes: .allocate(capacity: capacity), capacity: capacity))
  }

  deinit {
    arrays.pointee.targets.deallocate()
    arrays.pointee.sources.deallocate()
    arrays.pointee.sizes.deallocate()
    arrays.deallocate()
  }
}
