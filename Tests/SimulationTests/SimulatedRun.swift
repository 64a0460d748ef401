import DeviceMock
import Glibc
import RoostBlocks
import RoostDevice
import RoostEngine
import RoostPrimitives
import Synchronization

/// Requests against a stage, one thread, and everything that must be true of them. What is not is a complaint.
final class SimulatedRun {
  /// A store or a load between its begin and its end.
  struct OpenRequest {
    var id: RequestID
    var isStore: Bool
    var lease: LeaseID
    var shardCount = 1
    /// The admitted or leased blocks, with the seed of their content.
    var work: [(copy: BlockCopy, seed: UInt64)]
    /// Indices into `work` that no job has.
    var waiting: [Int]
    /// Indices into `work`, by job.
    var jobs: [JobID: [Int]] = [:]
    var failed: Set<Int> = []
    /// The lease was given up; what is left is to wait for the copies.
    var isGivenUp = false
    /// Device blocks, given back when no copy runs and the model is done with them.
    var deviceBlocks: [UInt32]

    var isSettled: Bool { jobs.isEmpty && (waiting.isEmpty || isGivenUp) }
  }

  let stage: Stage
  var random: SplitMix64
  private(set) var complaints: [String] = []
  var requests: [OpenRequest] = []
  private var freeBlocks: [UInt32]
  private var nextRequest: UInt64 = 1
  /// Set by a canary: jobs carry no lease, so that nothing fences their copies.
  var ignoresFences = false
  /// Set where two runs are compared: no wait takes time, so that the clock of this machine does not show in the run.
  var isRepeatable = false
  private(set) var loadedCount = 0
  private(set) var publishedCount = 0
  private var expected = (lookups: 0, offered: 0, asked: 0)
  private let computeErrors = ErrorCount()

  /// Counts from any thread.
  private final class ErrorCount: Sendable {
    let value = Atomic(0)
  }

  /// What freed device blocks are filled with: the seed of no key.
  static let junk = UInt64.max

  init(_ stage: Stage, seed: UInt64) {
    self.stage = stage
    random = SplitMix64(seed: SplitMix64.mix(seed))
    freeBlocks = (0..<UInt32(stage.settings.blockCount)).map { $0 }
  }

  func complain(_ text: String) { complaints.append(text) }

  func key(_ seed: UInt64) -> Key { Key(identity: stage.identity, group: 0, words: (seed, 1, 2, 3)) }

  // MARK: - Beginning

  private func takeBlocks(_ count: Int) -> [UInt32]? {
    guard freeBlocks.count >= count else { return nil }
    defer { freeBlocks.removeLast(count) }
    return Array(freeBlocks.suffix(count))
  }

  private func giveBlocks(_ blocks: [UInt32]) {
    for block in blocks { stage.cache.fill(block, seed: SimulatedRun.junk) }
    freeBlocks += blocks
  }

  private func newRequest() -> RequestID {
    defer { nextRequest += 1 }
    return RequestID(rawValue: nextRequest)
  }

  /// Begins to store the blocks of a request; the content of block `seed` is the pattern of that seed. Nil: there was
  /// nothing to copy, or no room.
  @discardableResult func beginStore(_ seeds: [UInt64], shardCount: Int = 1) -> Int? {
    guard let blocks = takeBlocks(seeds.count) else { return nil }
    let id = newRequest()
    var grants = [StoreGrant](
      repeating: StoreGrant(outcome: .refused, slot: SlotNumber(rawValue: 0), generation: 0), count: seeds.count)
    let lease = try? seeds.map(key).withUnsafeBufferPointer { keys in
      try grants.withUnsafeMutableBufferPointer {
        try stage.engine.beginStore(id, keys, shardCount: shardCount, into: $0)
      }
    }
    expected.offered += seeds.count
    var work: [(BlockCopy, UInt64)] = []
    for (index, grant) in grants.enumerated() where grant.outcome == .admitted {
      work.append((BlockCopy(block: blocks[index], slot: grant.slot, generation: grant.generation), seeds[index]))
    }
    guard let lease = lease ?? nil else {
      if !work.isEmpty { complain("blocks were admitted without a lease") }
      giveBlocks(blocks)
      return nil
    }
    requests.append(
      OpenRequest(
        id: id, isStore: true, lease: lease, shardCount: shardCount, work: work, waiting: Array(work.indices),
        deviceBlocks: blocks))
    return requests.count - 1
  }

  /// Begins to load what is there of some blocks.
  @discardableResult func beginLoad(_ seeds: [UInt64]) -> Int? {
    guard let blocks = takeBlocks(seeds.count) else { return nil }
    let id = newRequest()
    var grants = [LoadGrant](
      repeating: LoadGrant(outcome: .missing, slot: SlotNumber(rawValue: 0), generation: 0), count: seeds.count)
    let lease = try? seeds.map(key).withUnsafeBufferPointer { keys in
      try grants.withUnsafeMutableBufferPointer { try stage.engine.beginLoad(id, keys, into: $0) }
    }
    expected.asked += seeds.count
    guard let lease = lease ?? nil else {
      giveBlocks(blocks)
      return nil
    }
    var work: [(BlockCopy, UInt64)] = []
    for (index, grant) in grants.enumerated() where grant.outcome == .leased {
      work.append((BlockCopy(block: blocks[index], slot: grant.slot, generation: grant.generation), seeds[index]))
    }
    requests.append(
      OpenRequest(
        id: id, isStore: false, lease: lease, work: work, waiting: Array(work.indices), deviceBlocks: blocks))
    return requests.count - 1
  }

  /// Looks keys up and checks that the answer makes sense.
  func match(_ seeds: [UInt64]) -> [KeyState] {
    var states = [KeyState](repeating: .below, count: seeds.count)
    let run = seeds.map(key).withUnsafeBufferPointer { keys in
      states.withUnsafeMutableBufferPointer { stage.engine.match(keys, into: $0) }
    }
    expected.lookups += seeds.count
    if run != states.prefix(while: { $0 == .ready }).count { complain("match counted a run of \(run) in \(states)") }
    if states.contains(.below) { complain("match answered nothing for some keys: \(states)") }
    return states
  }

  // MARK: - Copying

  /// Submits a job of some of a request's blocks. With `computed` the model writes (or reads) the pages on a stream of
  /// its own, and the copies have to wait for it.
  func submit(_ index: Int, countMax: Int = .max, computed: Bool = false) {
    let part = Array(requests[index].waiting.prefix(countMax))
    guard !part.isEmpty else { return }
    requests[index].waiting.removeFirst(part.count)
    let request = requests[index]
    let lease = ignoresFences ? nil : request.lease
    do {
      let fence = try compute(part.map { request.work[$0] }, isStore: request.isStore, onDevice: computed)
      let job = try part.map { request.work[$0].copy }.withUnsafeBufferPointer {
        try stage.plane.submit(CopyJob(request.isStore ? .store : .load, lease: lease), $0, after: fence)
      }
      if requests[index].jobs.updateValue(part, forKey: job) != nil { complain("two jobs have the number \(job)") }
      if request.isGivenUp, !ignoresFences { complain("a job was accepted under a lease that is over") }
    } catch {
      requests[index].failed.formUnion(part)
      let isExplained = (error as? RoostError)?.code == .stale ? request.isGivenUp : !stage.allFiredFaults.isEmpty
      if !isExplained { complain("a job was refused for no reason: \(error)") }
    }
  }

  private func compute(
    _ work: [(copy: BlockCopy, seed: UInt64)], isStore: Bool, onDevice: Bool
  ) throws -> (any DeviceEvent)? {
    let cache = stage.cache
    let errors = computeErrors
    guard onDevice, stage.settings.capabilities.contains(.hostCallbacks) else {
      for item in work { cache.fill(item.copy.block, seed: isStore ? item.seed : SimulatedRun.junk) }
      return nil
    }
    for item in work { cache.fill(item.copy.block, seed: SimulatedRun.junk) }
    let event = try stage.device.makeEvent()
    try stage.compute.enqueue {
      for item in work {
        if isStore {
          cache.fill(item.copy.block, seed: item.seed)
        } else if cache.wrongByteCount(item.copy.block, seed: SimulatedRun.junk) > 0 {
          errors.value.wrappingAdd(1, ordering: .relaxed)
        }
      }
    }
    try stage.compute.record(event)
    return event
  }

  private func waitForCompute() {
    while case .busy = stage.compute.query() {
      stage.device.resume()
      stage.device.step()
    }
  }

  /// Takes results, and checks what was loaded.
  @discardableResult func poll(countMax: Int = .max) -> Int {
    let results = stage.plane.poll(countMax: countMax)
    for result in results { take(result) }
    return results.count
  }

  /// Waits for one job, which must end once nothing stands still.
  func wait(for job: JobID) {
    let deadline = Stage.soon
    while true {
      stage.device.resume()
      do {
        let slice = isRepeatable ? 0 : 0.01
        return take(try stage.plane.wait(for: job, until: .after(seconds: slice)))
      } catch {
        guard error.code == .timedOut, !deadline.hasPassed() else {
          return complain("waiting for a job in flight threw \(error)")
        }
        // A job without an end event is only asked for, which may not make the mock advance.
        while stage.device.step() {}
      }
    }
  }

  /// Asks for a job's result without waiting.
  func glance(at job: JobID) {
    do {
      take(try stage.plane.wait(for: job, until: .after(seconds: 0)))
    } catch {
      if error.code != .timedOut { complain("asking for a job in flight threw \(error)") }
    }
  }

  private func take(_ result: JobResult) {
    guard let index = requests.firstIndex(where: { $0.jobs[result.job] != nil }),
      let part = requests[index].jobs.removeValue(forKey: result.job)
    else { return complain("job \(result.job.rawValue) ended twice or never began") }
    requests[index].failed.formUnion(result.failedBlocks.map { part[$0] })
    if case .failed(let error) = result.outcome, stage.allFiredFaults.isEmpty {
      complain("a job failed for no reason: \(error)")
    }
    guard !requests[index].isStore else { return }
    let failed = Set(result.failedBlocks)
    for (number, item) in part.enumerated() where !failed.contains(number) {
      let (copy, seed) = requests[index].work[item]
      let wrong = stage.cache.wrongByteCount(copy.block, seed: seed)
      loadedCount += 1
      if wrong > 0 { complain("\(wrong) wrong bytes in block \(seed) from slot \(copy.slot.rawValue)") }
    }
  }

  // MARK: - Ending

  /// Ends a request whose jobs have ended.
  func finish(_ index: Int, dropsFailed: Bool = true) {
    let request = requests.remove(at: index)
    precondition(request.isSettled, "a request with running jobs cannot be finished")
    // The model is done with the pages even if a job that should have waited for it was refused.
    waitForCompute()
    defer { giveBlocks(request.deviceBlocks) }
    guard !request.isGivenUp else { return }
    guard request.isStore else {
      if stage.engine.end(request.lease) != .ended { complain("a load lease did not end") }
      return
    }
    let failed = request.failed.map { (slot: request.work[$0].copy.slot, generation: request.work[$0].copy.generation) }
    guard failed.isEmpty || dropsFailed else {
      if stage.engine.abort(request.lease) != .ended { complain("a store lease was not aborted") }
      return
    }
    for shard in 0..<request.shardCount {
      let answer = stage.engine.commit(request.lease, shard: shard, failed: shard == 0 ? failed : [])
      let isRight = answer == (shard == request.shardCount - 1 ? .published : .noted)
      if !isRight { complain("the commit of shard \(shard) of \(request.shardCount) was answered by \(answer)") }
    }
    publishedCount += request.work.count - failed.count
  }

  /// Gives a request up, with copies running or not.
  func giveUp(_ index: Int, byReclaim: Bool = false) {
    guard !requests[index].isGivenUp else { return }
    requests[index].isGivenUp = true
    let request = requests[index]
    if byReclaim {
      if stage.engine.reclaim(request.id) != 1 { complain("reclaim found no lease of request \(request.id.rawValue)") }
    } else if request.isStore {
      stage.engine.abort(request.lease)
    } else {
      stage.engine.end(request.lease)
    }
  }

  /// Lets everything that runs end; complains if it does not.
  func drain() {
    let deadline = Stage.soon
    while requests.contains(where: { !$0.jobs.isEmpty }) {
      stage.device.resume()
      if poll() > 0 { continue }
      if !stage.device.step() { usleep(20) }
      guard !deadline.hasPassed() else {
        let jobs = requests.flatMap { $0.jobs.keys.map(\.rawValue) }
        complain("jobs \(jobs) never ended")
        return
      }
    }
  }

  /// Replaces a device that is lost, after everything on it has ended. What was not submitted is given up.
  func replaceIfLost() throws {
    guard stage.device.isLost else { return }
    drain()
    for index in requests.indices where !requests[index].waiting.isEmpty { giveUp(index) }
    try stage.replaceDevice(seed: random.next())
  }

  /// Ends everything, and checks what must be true of an engine at rest.
  func conclude() throws {
    drain()
    try replaceIfLost()
    while let index = requests.indices.last {
      if !requests[index].waiting.isEmpty { giveUp(index) }
      finish(index)
    }
    checkAtRest()
    let known = Array(0..<SimulatedRun.seedCount)
    let ready = zip(known, match(known)).filter { $0.1 == .ready }.map(\.0)
    let before = loadedCount
    for start in stride(from: 0, to: ready.count, by: 8) {
      guard let index = beginLoad(Array(ready[start..<min(ready.count, start + 8)])) else { continue }
      submit(index)
      drain()
      try replaceIfLost()
      finish(index)
    }
    // A late fault may still take some of them.
    let isComplete = loadedCount - before == ready.count || !stage.allFiredFaults.isEmpty
    if !isComplete { complain("\(loadedCount - before) of \(ready.count) blocks that are ready could be loaded") }
    checkAtRest()
    let leaks = stage.engine.close(until: .after(seconds: 0))
    if !leaks.isEmpty { complain("leases were lost: \(leaks)") }
    if computeErrors.value.load(ordering: .relaxed) > 0 { complain("a load overwrote pages that the model still read") }
  }

  /// Contents that a run knows of: the seeds 0 to this.
  static let seedCount: UInt64 = 24

  private func checkAtRest() {
    let blocks = stage.engine.statistics.blocks
    if !stage.engine.leases().isEmpty { complain("leases were lost: \(stage.engine.leases())") }
    let sums: [(String, Int, Int)] = [
      ("hits + misses = lookups", blocks.hits + blocks.misses, blocks.lookups),
      ("lookups, as the test counts them", blocks.lookups, expected.lookups),
      ("allocated + free = capacity", blocks.allocated + blocks.free, blocks.capacity),
      ("held + admitted + refused = offered", blocks.held + blocks.admitted + blocks.refused, blocks.offered),
      ("offered, as the test counts it", blocks.offered, expected.offered),
      (
        "admitted + adopted = evicted + retired + aborted + resident", blocks.admitted + blocks.adopted,
        blocks.evicted + blocks.retired + blocks.aborted + blocks.resident
      ),
      ("resident = allocated at rest", blocks.resident, blocks.allocated),
      ("evictable = resident at rest", blocks.evictable, blocks.resident),
      ("unkeyed at rest", blocks.unkeyed, 0), ("leases at rest", blocks.leases, 0),
    ]
    for (name, left, right) in sums where left != right { complain("\(name): \(left) is not \(right)") }
    let asked = blocks.leased + blocks.missing
    // Seals are made under load leases of the engine's own.
    if asked < expected.asked || stage.settings.verification == .adopted && asked != expected.asked {
      complain("leased + missing: \(asked) is not \(expected.asked)")
    }
  }
}
