import Glibc
import RoostPool
import RoostPrimitives

/// `roost bench pool`: how soon a pool can be used, how fast it grows, and what its table costs.
public enum PoolBench {
  /// The workload for `Benches.all`.
  public static let bench = Bench(
    name: "pool", summary: "opening, committing, adopting and attaching a pool; seals, rows, messages"
  ) { (scale) throws(RoostError) in
    try [open(scale), growth(scale), [adoption(scale)], seal(scale), table(scale), attachment(scale)].flatMap { $0 }
  }

  private static let slotBytes = 256 << 10

  private static func configuration(_ name: String, bytes: Int) -> PoolConfiguration {
    PoolConfiguration(
      name: "bench-\(getpid())-" + name, capacity: ByteCount(bytes), slotByteCounts: [slotBytes])
  }

  private static var patience: Deadline { .after(seconds: 60) }

  /// Waits for the first slots of a pool.
  private static func firstSlots(_ pool: Pool) throws(RoostError) -> Range<UInt32> {
    while true {
      switch pool.cut(0) {
      case .slots(let slots): return slots
      case .notYet: _ = pool.wait(forBytes: pool.capacity.committedBytes + 1, until: patience)
      case .exhausted: throw RoostError(.outOfResources, pool.capacity.shortage ?? "the pool has no slots")
      }
    }
  }

  /// Opening 16 GiB: until `open` returns, and until the first slots can be used. Committing stops right afterwards.
  private static func open(_ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    let samples = scale == .full ? 15 : 3
    var opened: [Double] = []
    var usable: [Double] = []
    for sample in 0..<samples {
      let clock = MonotonicClock()
      let start = clock.nanoseconds
      let pool = try Pool.open(configuration("open-\(sample)", bytes: 16 << 30))
      opened.append(Double(clock.nanoseconds - start) / 1e6)
      defer { pool.close() }
      _ = try firstSlots(pool)
      usable.append(Double(clock.nanoseconds - start) / 1e6)
    }
    return [
      BenchResult(name: "open/16GiB", unit: "ms", samples: opened, reference: "at most 100 ms"),
      BenchResult(name: "first-slots/16GiB", unit: "ms", samples: usable),
    ]
  }

  /// Committing: allocating, zeroing and mapping memory.
  private static func growth(_ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    let bytes = scale == .full ? 1 << 30 : 64 << 20
    var rates: [Double] = []
    for (sample, pages) in [PoolConfiguration.HugePages.transparent, .transparent, .transparent].enumerated() {
      var configuration = configuration("commit-\(sample)", bytes: bytes)
      configuration.hugePages = pages
      let seconds = try Sampling.seconds { () throws(RoostError) in
        let pool = try Pool.open(configuration)
        let capacity = pool.wait(forBytes: bytes, until: patience)
        pool.close()
        if let shortage = capacity.shortage { throw RoostError(.outOfResources, shortage) }
      }
      rates.append(Double(bytes) / seconds / 1e9)
    }
    return [BenchResult(name: "commit", unit: "GB/s", samples: rates)]
  }

  /// Adopting a kept pool with a sealed page in every slot: until its pages are listed and the first one has been
  /// compared with its seal.
  private static func adoption(_ scale: BenchScale) throws(RoostError) -> BenchResult {
    let bytes = scale == .full ? 4 << 30 : 64 << 20
    let directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : temporaryFolder
    var configuration = configuration("adopt", bytes: bytes)
    configuration.backing = .directory(path: directory, keep: true)
    try fill(configuration)
    defer { remove(configuration, directory) }
    var samples: [Double] = []
    for _ in 0..<(scale == .full ? 7 : 2) {
      let clock = MonotonicClock()
      let start = clock.nanoseconds
      let pool = try Pool.open(configuration)
      guard let adoption = pool.adoption, adoption.rows.count == bytes / slotBytes,
        pool.check(adoption.rows[0].slot, adoption.rows[0].seal)
      else { throw RoostError(.corrupt, "the kept pool was not adopted in full") }
      samples.append(Double(clock.nanoseconds - start) / 1e6)
      pool.close()
    }
    let name = "adopt/\(ByteCount(bytes))".filter { $0 != " " }
    return BenchResult(name: name, unit: "ms", samples: samples, reference: "at most 200 ms")
  }

  private static func fill(_ configuration: PoolConfiguration) throws(RoostError) {
    let pool = try Pool.open(configuration)
    defer { pool.close() }
    try pool.record(IdentityID(rawValue: 0), IdentityDigest(words: (0, 0, 0, 0)))
    let capacity = pool.wait(forBytes: configuration.capacity.bytes, until: patience)
    if let shortage = capacity.shortage { throw RoostError(.outOfResources, shortage) }
    while case .slots(let slots) = pool.cut(0) {
      for slot in slots { pool.write(row(SlotNumber(rawValue: slot), pool)) }
    }
  }

  private static func row(_ slot: SlotNumber, _ pool: Pool) -> SlotRow {
    let key = Key(identity: IdentityID(rawValue: 0), group: 0, words: (UInt64(slot.rawValue), 1, 2, 3))
    var row = SlotRow(slot: slot, generation: 1, state: .sealed, key: key, byteCount: UInt32(slotBytes))
    row.seal = pool.seal(of: slot)
    return row
  }

  /// Opens the kept pool once more as one that is not, so that closing removes it.
  private static func remove(_ configuration: PoolConfiguration, _ directory: String) {
    var last = configuration
    last.backing = .directory(path: directory, keep: false)
    last.capacity = ByteCount(slotBytes)
    let level = Log.level
    Log.level = .error
    defer { Log.level = level }
    // A bench that cannot clean up has said why before.
    (try? Pool.open(last))?.close()
  }

  /// Sealing pages that are not in the cache.
  private static func seal(_ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    let bytes = 64 << 20
    let pool = try Pool.open(configuration("seal", bytes: bytes))
    defer { pool.close() }
    let slots = try firstSlots(pool)
    let reference = MemcpyReference()
    var sum: UInt64 = 0
    let result = try Sampling.paired(
      name: "seal/256KiB", byteCount: slots.count * slotBytes, sampleCount: scale == .full ? 15 : 3,
      reference: reference
    ) { () throws(RoostError) in
      for slot in slots { sum ^= pool.seal(of: SlotNumber(rawValue: slot)).low }
    }
    withExtendedLifetime(sum) {}
    return [result]
  }

  private static func table(_ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    let pool = try Pool.open(configuration("table", bytes: 256 << 20))
    defer { pool.close() }
    let slots = try firstSlots(pool)
    let rows = slots.map { row(SlotNumber(rawValue: $0), pool) }
    let rounds = scale == .full ? 1000 : 10
    let samples = scale == .full ? 11 : 3
    let write = try Sampling.time(
      name: "row/write", unit: "ns", operationCount: rounds * rows.count, sampleCount: samples
    ) { () throws(RoostError) in
      for _ in 0..<rounds { rows.withUnsafeBufferPointer { pool.write($0) } }
    }
    var found = 0
    let read = try Sampling.time(
      name: "row/read", unit: "ns", operationCount: rounds * rows.count, sampleCount: samples
    ) { () throws(RoostError) in
      for _ in 0..<rounds {
        for row in rows where pool.row(of: row.slot) != nil { found += 1 }
      }
    }
    guard found > 0 else { throw RoostError(.corrupt, "no row was found again") }
    return [write, read]
  }

  /// Attaching, and a message there and back between two threads.
  private static func attachment(_ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    var configuration = configuration("attach", bytes: 256 << 20)
    configuration.chunkByteCount = 4 << 20
    let pool = try Pool.open(configuration)
    defer { pool.close() }
    _ = pool.wait(forBytes: 256 << 20, until: patience)
    let attach = try Sampling.time(
      name: "attach/64-chunks", unit: "ms", operationCount: 1, sampleCount: scale == .full ? 11 : 3
    ) { () throws(RoostError) in
      try PoolAttachment.attach(to: pool.address, until: patience).close()
    }
    let worker = try PoolAttachment.attach(to: pool.address, until: patience)
    defer { worker.close() }
    let echo = try HostThread.start("echo") {
      // Ends when the message of no bytes comes, or the pool is closed.
      while let message = try? worker.receive(until: patience), !message.isEmpty {
        try? worker.send(message, until: patience)
      }
    }
    let rounds = scale == .full ? 2000 : 50
    let trip = try Sampling.time(
      name: "message/round-trip", unit: "us", operationCount: rounds, sampleCount: scale == .full ? 7 : 2
    ) { () throws(RoostError) in
      for _ in 0..<rounds { try exchange(pool, worker.id) }
    }
    try pool.send([UInt8](), to: worker.id)
    echo.join()
    return [attach, trip]
  }

  private static func exchange(_ pool: Pool, _ id: AttachmentID) throws(RoostError) {
    try pool.send([1, 2, 3, 4], to: id)
    let deadline = patience
    while !deadline.hasPassed() {
      for case .message(id, _) in pool.events(until: deadline) { return }
    }
    throw RoostError(.timedOut, "no answer came")
  }
}
