import CRoostABI
import RoostBlocks
import RoostEngine
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_worker_submit(
  _ handle: roost_worker, _ job: UnsafePointer<roost_job>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let worker = try HandleTable.shared.worker(handle)
    let job = try Arguments.structure(job, "job")
    let lease = job.lease == 0 ? nil : LeaseID(rawValue: job.lease)
    let blocks: UnsafeMutableBufferPointer<BlockCopy>
    let isDivided = job.verb == UInt32(ROOST_LOAD_DIVIDED)
    let verb: CopyVerb
    do throws(RoostError) {
      verb = isDivided ? .load : try JobReader.verb(job.verb)
      blocks = try JobReader.blocks(job)
    } catch {
      // The worker has not seen the job, but the engine waits for it.
      worker.refuse(lease, group: Int(job.group))
      throw error
    }
    defer { blocks.deallocate() }
    let copy = CopyJob(verb, group: Int(job.group), lease: lease, isAwaited: job.is_awaited != 0)
    try worker.submit(job.job, copy, divided: isDivided, UnsafeBufferPointer(blocks))
  }
}

private enum JobReader {
  static func verb(_ number: UInt32) throws(RoostError) -> CopyVerb {
    guard let verb = UInt8(exactly: number).flatMap(CopyVerb.init(rawValue:)) else {
      throw RoostError(.invalidInput, "the verb is 0 for a store, 1 for a load or 2 for a divided one, not \(number)")
    }
    return verb
  }

  static func blocks(_ job: roost_job) throws(RoostError) -> UnsafeMutableBufferPointer<BlockCopy> {
    guard 0...Limits.blockCountMax ~= job.count else {
      throw Arguments.tooMany("blocks", job.count, Limits.blockCountMax)
    }
    guard job.count > 0 else { return .allocate(capacity: 0) }
    let numbers = try Arguments.required(job.blocks, "blocks")
    let slots = try Arguments.required(job.slots, "slots")
    for index in 0..<job.count where numbers[index] < 0 {
      throw RoostError(.invalidInput, "position \(index) names block \(numbers[index])")
    }
    let blocks = UnsafeMutableBufferPointer<BlockCopy>.allocate(capacity: job.count)
    for index in 0..<job.count {
      blocks.initializeElement(
        at: index,
        to: BlockCopy(
          block: UInt32(numbers[index]), slot: SlotNumber(rawValue: slots[2 * index]),
          generation: slots[2 * index + 1]))
    }
    return blocks
  }
}

/// See roost.h.
@c @implementation public func roost_worker_poll(
  _ handle: roost_worker, _ out: UnsafeMutablePointer<roost_completion>?, _ capacity: Int,
  _ outCount: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outCount = try Arguments.required(outCount, "out_count")
    let target: Arguments.OutArray<roost_completion> = try Arguments.outArray(out, capacity: capacity, "out")
    let results = try HandleTable.shared.worker(handle).poll(countMax: target.capacity)
    if !results.isEmpty { try Completions.write(results.map(Completions.item), to: target) }
    outCount.pointee = results.count
  }
}

/// See roost.h.
@c @implementation public func roost_worker_wait(
  _ handle: roost_worker, _ job: UInt64, _ timeout: Double, _ out: UnsafeMutablePointer<roost_completion>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let target: Arguments.OutArray<roost_completion> = try Arguments.outArray(out, capacity: 1, "out")
    let worker = try HandleTable.shared.worker(handle)
    let result = try worker.wait(for: job, until: Arguments.deadline(timeout))
    try Completions.write([Completions.item(result)], to: target)
  }
}

/// See roost.h.
@c @implementation public func roost_worker_wait_range(
  _ handle: roost_worker, _ job: UInt64, _ range: UInt32, _ timeout: Double
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let worker = try HandleTable.shared.worker(handle)
    try worker.wait(for: job, range: Int(range), until: Arguments.deadline(timeout))
  }
}

/// See roost.h.
@c @implementation public func roost_worker_cancel(_ handle: roost_worker, _ job: UInt64) -> roost_status {
  Failure.caught { () throws(RoostError) in try HandleTable.shared.worker(handle).cancel(job) }
}
