import RoostBlocks
import RoostEngine
import RoostPool
import RoostPrimitives
import RoostTransfer

/// A data plane in another process: the control plane is here, a worker copies between its own device memory and the
/// pool. What is measured is what a scheduler sees: from the submission of a job until its result is here.
final class ProcessTransferPlane: TransferPlane {
  private let engine: Engine
  private let worker: WorkerProcess
  private let plane: RemoteDataPlane
  private let keys: [Key]
  private var lease: LeaseID
  private var grants: [StoreGrant]
  private var isPublished = false

  private static let patienceSeconds = 60.0

  init(_ shape: TransferShape) throws(RoostError) {
    let pageBytes = shape.pageByteCount
    let pool = PoolConfiguration(
      name: "bench-\(MonotonicClock().nanoseconds)", capacity: ByteCount(shape.slotCount * pageBytes),
      slotByteCounts: [])
    let group = EngineConfiguration.Group(pageByteCount: pageBytes, tokensPerBlock: 16)
    // A policy that refuses nothing: every page is to be copied.
    engine = try Engine.open(
      EngineConfiguration(groups: [group], memory: .pool(pool), policy: LeastRecentlyUsed.factory))
    engine.waitUntilCommitted(until: .after(seconds: ProcessTransferPlane.patienceSeconds))
    let identity = try engine.intern(IdentityDigest(words: (1, 2, 3, 4)))
    let count = min(shape.slotCount, engine.slotCount())
    keys = (0..<UInt64(count)).map { Key(identity: identity, group: 0, words: ($0, 0, 0, 0)) }
    var grants = [StoreGrant](
      repeating: StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: 0), generation: 0), count: count)
    let lease = try ProcessTransferPlane.store(keys, into: &grants, engine)
    guard let lease else { throw RoostError(.outOfResources, "there is not enough memory for the benchmark's pool") }
    self.lease = lease
    self.grants = grants
    worker = try WorkerProcess([
      "worker", "--pool", "\(engine.pool.map { "\($0.address)" } ?? "")", "--layers", "\(shape.pieceCount)",
      "--piece-bytes", "\(shape.pieceByteCount)", "--blocks", "\(shape.blockCount)",
    ])
    plane = try ProcessTransferPlane.connect(engine)
    try fill(shape)
  }

  deinit {
    engine.abort(lease)
    engine.close(until: .after(seconds: 1))
  }

  private static func store(
    _ keys: [Key], into grants: inout [StoreGrant], _ engine: Engine
  ) throws(RoostError) -> LeaseID? {
    try keys.withUnsafeBufferPointer { (keys) throws(RoostError) in
      try grants.withUnsafeMutableBufferPointer { (grants) throws(RoostError) in
        try engine.beginStore(RequestID(rawValue: 1), keys, into: grants)
      }
    }
  }

  private static func connect(_ engine: Engine) throws(RoostError) -> RemoteDataPlane {
    let deadline = Deadline.after(seconds: 30)
    while !deadline.hasPassed() {
      for case .joined(let attachment, _) in engine.poll() { return engine.connect(attachment) }
      engine.pool?.waitForEvent(until: deadline)
    }
    throw RoostError(.timedOut, "the worker process has not attached within 30 s")
  }

  /// Touches all memory of the worker, on its device and of the pool.
  private func fill(_ shape: TransferShape) throws(RoostError) {
    let deadline = Deadline.after(seconds: ProcessTransferPlane.patienceSeconds)
    try plane.fill((0..<UInt32(shape.blockCount)).map { ($0, UInt64($0)) }, until: deadline)
    for start in stride(from: 0, to: keys.count, by: shape.batchPageCount) {
      let slots = (start..<min(keys.count, start + shape.batchPageCount)).map { UInt32($0) }
      try copy(.store, blocks: slots.map { $0 % UInt32(shape.blockCount) }, slots: slots)
    }
  }

  func copy(_ direction: TransferDirection, blocks: [UInt32], slots: [UInt32]) throws(RoostError) {
    if direction == .load, !isPublished { try publish() }
    let copies = zip(blocks, slots).map {
      BlockCopy(block: $0, slot: grants[Int($1)].slot, generation: grants[Int($1)].generation)
    }
    let job = CopyJob(direction == .store ? .store : .load, lease: lease)
    let id = try copies.withUnsafeBufferPointer { (copies) throws(RoostError) in try plane.submit(job, copies) }
    let result = try plane.wait(for: id, until: .after(seconds: ProcessTransferPlane.patienceSeconds))
    guard result.isComplete else {
      throw RoostError(.lost, "the worker process could not copy \(result.failedBlocks.count) pages")
    }
  }

  /// Ends the store and holds all pages for loads.
  private func publish() throws(RoostError) {
    engine.commit(lease)
    var loads = [LoadGrant](
      repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: 0), generation: 0), count: keys.count)
    let held = try keys.withUnsafeBufferPointer { (keys) throws(RoostError) in
      try loads.withUnsafeMutableBufferPointer { (loads) throws(RoostError) in
        try engine.beginLoad(RequestID(rawValue: 1), keys, into: loads)
      }
    }
    guard let held else { throw RoostError(.corrupt, "what was just stored cannot be found") }
    lease = held
    isPublished = true
  }
}
