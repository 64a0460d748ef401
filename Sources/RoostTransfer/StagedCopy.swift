import RoostDevice
import RoostPrimitives

/// Copies pages by way of two staging buffers: while the device fills or empties one in long runs, the host gathers or
/// scatters the other. Used by one thread, which it blocks.
///
/// Store, chunk by chunk: 1. the device fills buffer n; 2. meanwhile the host scatters buffer n-1 to the slots.
/// Load: 1. the host gathers slots into buffer n, while 2. the device still empties buffer n-1.
final class StagedCopy {
  private struct Buffer {
    var memory: HostMemory
    /// Completes when the device is done with the buffer.
    var event: any DeviceEvent
    /// Copies may be under way that no event marks: the buffer is neither used again nor freed.
    var isLost = false
  }

  private let direction: TransferDirection
  private let device: any Device
  private let stream: any DeviceStream
  private let batch = PieceBatch()
  private var buffers: [Buffer] = []

  init(_ direction: TransferDirection, on device: any Device, stream: any DeviceStream) throws(RoostError) {
    self.direction = direction
    self.device = device
    self.stream = stream
    for _ in 0..<2 {
      let event = try device.makeEvent()
      buffers.append(Buffer(memory: try device.allocateHost(byteCount: Limits.stagingByteCount), event: event))
    }
  }

  deinit {
    // A buffer that a hanging device may still write is leaked: that is the lesser harm. A failure to free has nobody
    // to go to.
    for buffer in buffers where buffer.event.isComplete && !buffer.isLost { try? device.freeHost(buffer.memory) }
  }

  /// Copies all pages and returns when they lie at their targets.
  ///
  /// - Throws: the stream's failure, `cancelled` if `isStopped` answers true while the device is waited for. The device
  ///   no longer touches slots or staging buffers then, unless it hangs.
  func run(_ job: TransferJob, _ pages: [PageCopy], isStopped: () -> Bool) throws(RoostError) {
    guard let plan = job.template.staging, !pages.isEmpty else { return }
    try prepare(plan.pageStrideBytes)
    if let fence = job.fence { try stream.wait(for: fence) }
    let chunkCount = max(1, min(buffers[0].memory.byteCount, buffers[1].memory.byteCount) / plan.pageStrideBytes)
    var chunks: [Range<Int>] = []
    for start in stride(from: 0, to: pages.count, by: chunkCount) {
      chunks.append(start..<min(pages.count, start + chunkCount))
    }
    do throws(RoostError) {
      switch direction {
      case .store: try store(chunks.map { Array(pages[$0]) }, plan, isStopped)
      case .load: try load(chunks.map { Array(pages[$0]) }, plan, isStopped)
      }
    } catch {
      for buffer in buffers { try? settle(buffer, isStopped) }
      settleLost(isStopped)
      throw error
    }
  }

  private func store(_ chunks: [[PageCopy]], _ plan: StagingPlan, _ isStopped: () -> Bool) throws(RoostError) {
    for index in 0...chunks.count {
      if index < chunks.count {
        try exchange(chunks[index], plan, index % 2)
      }
      guard index > 0 else { continue }
      let buffer = buffers[(index - 1) % 2]
      try settle(buffer, isStopped)
      rearrange(chunks[index - 1], plan, buffer)
    }
  }

  private func load(_ chunks: [[PageCopy]], _ plan: StagingPlan, _ isStopped: () -> Bool) throws(RoostError) {
    for index in chunks.indices {
      let buffer = buffers[index % 2]
      try settle(buffer, isStopped)
      rearrange(chunks[index], plan, buffer)
      try exchange(chunks[index], plan, index % 2)
    }
    for buffer in buffers { try settle(buffer, isStopped) }
  }

  /// The device's step: its memory and the buffer, in long runs.
  private func exchange(_ pages: [PageCopy], _ plan: StagingPlan, _ index: Int) throws(RoostError) {
    let address = buffers[index].memory.address
    let staged = pages.enumerated().map { number, page in
      PageCopy(block: page.block, slotAddress: address + UInt(number * plan.pageStrideBytes))
    }
    var refusal: RoostError?
    do throws(RoostError) {
      try staged.withUnsafeBufferPointer { pages throws(RoostError) in
        try batch.copy(pages, plan.device, direction, on: stream)
      }
    } catch {
      refusal = error
    }
    do throws(RoostError) {
      try stream.record(buffers[index].event)
    } catch {
      buffers[index].isLost = true
      throw refusal ?? error
    }
    if let refusal { throw refusal }
  }

  /// The host's step: the buffer and the slots.
  private func rearrange(_ pages: [PageCopy], _ plan: StagingPlan, _ buffer: Buffer) {
    let staged = pages.enumerated().map { PageCopy(block: UInt32($0.offset), slotAddress: $0.element.slotAddress) }
    staged.withUnsafeBufferPointer {
      batch.copyOnHost($0, plan.host, stagingAddress: buffer.memory.address, direction)
    }
  }

  /// Waits until the device is done with a buffer.
  private func settle(_ buffer: Buffer, _ isStopped: () -> Bool) throws(RoostError) {
    while !buffer.event.isComplete {
      if isStopped() { throw RoostError(.cancelled, "the queue was closed while pages were staged") }
      do throws(RoostError) {
        try buffer.event.wait(until: .after(seconds: Limits.driverPatienceSeconds))
      } catch {
        guard error.code == .timedOut else { throw error }
      }
    }
    if case .failed(let error) = stream.query() { throw error }
  }

  /// Waits for copies that no event marks: until the whole stream is idle. Those of a load still write device memory, and
  /// nobody may be told before that the job has ended.
  private func settleLost(_ isStopped: () -> Bool) {
    while buffers.contains(where: \.isLost), !isStopped() {
      do throws(RoostError) {
        try stream.wait(until: .after(seconds: Limits.driverPatienceSeconds))
      } catch {
        // Any other error is the stream's own, and comes when everything has ended.
        if error.code == .timedOut { continue }
      }
      for index in buffers.indices { buffers[index].isLost = false }
    }
  }

  /// Makes the buffers hold at least one page, and replaces lost ones.
  private func prepare(_ pageStrideBytes: Int) throws(RoostError) {
    for index in buffers.indices where buffers[index].memory.byteCount < pageStrideBytes || buffers[index].isLost {
      let byteCount = max(pageStrideBytes, Limits.stagingByteCount)
      let memory = try device.allocateHost(byteCount: byteCount)
      if !buffers[index].isLost { try? device.freeHost(buffers[index].memory) }
      buffers[index] = Buffer(memory: memory, event: try device.makeEvent())
    }
  }
}
