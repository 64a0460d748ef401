import Glibc
import RoostBuiltins
import RoostPrimitives
import RoostStorage

/// `roost bench disk`: pages to and from a disk tier, seals included, each sample beside one of fio with the same block
/// size, depth and O_DIRECT in the same directory. The directory is `ROOST_BENCH_DIR`, or the present one.
public enum DiskBench {
  /// The workload for `Benches.all`.
  public static let bench = Bench(
    name: "disk", summary: "pages to and from a disk tier, beside fio; finding them again at the start"
  ) { (scale) throws(RoostError) in
    let directory = getenv("ROOST_BENCH_DIR").map { String(cString: $0) } ?? DiskBench.workingDirectory
    let scene = try DiskScene(in: directory, scale)
    defer { scene.end() }
    return try scene.pages() + scene.registration() + scene.rebuild()
  }

  private static var workingDirectory: String {
    guard let path = getcwd(nil, 0) else { return "." }
    defer { free(path) }
    return String(cString: path)
  }
}

/// A directory with a tier and fio's file side by side.
final class DiskScene {
  private let scale: BenchScale
  private let path: String
  let totalBytes: Int
  let sampleCount: Int
  private let depth = 32
  private(set) var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var nextPage: UInt64 = 0

  init(in directory: String, _ scale: BenchScale) throws(RoostError) {
    self.scale = scale
    path = directory + "/roost-bench-\(getpid())"
    totalBytes = scale == .full ? 1 << 30 : 64 << 20
    sampleCount = scale == .full ? 9 : 1
    guard mkdir(path, 0o700) == 0 else {
      throw .system("mkdir", errno, "cannot make a directory to measure in", context: [("path", path)])
    }
    memory = .allocate(byteCount: totalBytes, alignment: 2 << 20)
    var generator = SplitMix64(seed: 1)
    for offset in stride(from: 0, to: totalBytes, by: 8) {
      memory.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
    }
  }

  /// Removes everything.
  func end() {
    memory.deallocate()
    for folder in ["/tier", "/other", ""] {
      DiskScene.empty(path + folder)
      rmdir(path + folder)
    }
  }

  /// Removes the files in a folder.
  private static func empty(_ folder: String) {
    guard let stream = opendir(folder) else { return }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
        field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { unlink(folder + "/" + name) }
    }
  }

  func tier(_ capacity: Int, _ options: String = "", in folder: String = "tier") throws(RoostError) -> any Tier {
    let tier = try Builtins.tiers().open("disk://\(path)/\(folder)?capacity=\(capacity)&depth=\(depth)\(options)")
    _ = try tier.recover(until: .after(seconds: 120))
    return tier
  }

  /// Closes a tier and removes its files.
  func remove(_ tier: any Tier, in folder: String = "tier") {
    tier.close(until: .after(seconds: 60))
    DiskScene.empty(path + "/" + folder)
  }

  /// Room for one round of pages and half as much again, so that from the second round on blocks are written again.
  var roomBytes: Int { totalBytes + totalBytes / 2 + (16 << 20) }

  /// Pages of one size, cut from the memory. New names each time, so that every write moves bytes.
  func pages(_ byteCount: Int) -> [TierPage] {
    (0..<(totalBytes / byteCount)).map { index in
      let part = UnsafeMutableRawBufferPointer(rebasing: memory[(index * byteCount)..<((index + 1) * byteCount)])
      nextPage += 1
      let key = Key(identity: IdentityID(rawValue: 0), group: 0, words: (SplitMix64.mix(nextPage), nextPage, 0, 0))
      let name = PageName(key, identity: IdentityDigest(words: (1, 2, 3, 4)))
      return TierPage(name, memory: part, facts: PageFacts(byteCount: byteCount, seal: Seal(low: 0, high: 0)))
    }
  }

  /// Submits in batches and polls until all have ended; every page must be done.
  func run(_ verb: TierVerb, _ pages: [TierPage], on tier: any Tier) throws(RoostError) {
    var pending = 0
    var events: [TierEvent] = []
    var next = 0
    // At most half of the tier's slots are being written at once: the others are there to be evicted.
    let batchCount = max(1, min(depth, pages.count / 8))
    while next < pages.count || pending > 0 {
      while next < pages.count, pending < 4 {
        var batch = Array(pages[next..<min(pages.count, next + batchCount)])
        // Sealing is part of a write: nobody has done it before.
        if verb == .write {
          for index in batch.indices {
            batch[index].facts.seal = Seal(over: UnsafeRawBufferPointer(batch[index].memory))
          }
        }
        _ = try tier.submit(TierBatch(verb, batch))
        next += batch.count
        pending += 1
      }
      events.removeAll(keepingCapacity: true)
      tier.poll(1024, into: &events)
      for event in events {
        switch event {
        case .released: pending -= 1
        case .page(_, _, .done): break
        case .page(_, _, let outcome): throw RoostError(.system, "a page of the bench is \(outcome)")
        }
      }
      if events.isEmpty { _ = tier.wait(until: .after(seconds: 10)) }
    }
  }

  private struct Workload {
    let name: String
    let verb: TierVerb
    let pattern: String
    let blockBytes: Int
    let isRandom: Bool
  }

  /// Writing and reading, in alternating pairs with fio.
  func pages() throws(RoostError) -> [BenchResult] {
    let workloads = [
      Workload(name: "write/2MiB", verb: .write, pattern: "write", blockBytes: 2 << 20, isRandom: false),
      Workload(name: "read/2MiB", verb: .read, pattern: "read", blockBytes: 2 << 20, isRandom: false),
      Workload(name: "random-read/64KiB", verb: .read, pattern: "randread", blockBytes: 64 << 10, isRandom: true),
    ]
    var results: [BenchResult] = []
    for blockBytes in [2 << 20, 64 << 10] {
      let tier = try tier(roomBytes, "&segment=\(totalBytes / 8)")
      var current = pages(blockBytes)
      try run(.write, current, on: tier)
      for workload in workloads where workload.blockBytes == blockBytes {
        results.append(try measure(workload, tier, &current))
      }
      remove(tier)
    }
    return results
  }

  private func measure(
    _ workload: Workload, _ tier: any Tier, _ current: inout [TierPage]
  ) throws(RoostError) -> BenchResult {
    let fio = FioRun(
      pattern: workload.pattern, blockBytes: workload.blockBytes, totalBytes: totalBytes, depth: depth,
      path: path + "/fio")
    let hasFio = FioRun.isInstalled
    if hasFio { _ = try fio.run() }
    var rates: [Double] = []
    var ratios: [Double] = []
    for sample in 0..<sampleCount {
      let before = hasFio && sample % 2 == 0 ? try fio.run() : 0
      if workload.verb == .write { current = pages(workload.blockBytes) }
      let order = workload.isRandom ? current.shuffled() : current
      let seconds = try Sampling.seconds { () throws(RoostError) in try run(workload.verb, order, on: tier) }
      let beside = hasFio && sample % 2 == 1 ? try fio.run() : before
      let rate = Double(current.count * workload.blockBytes) / seconds / 1e9
      rates.append(rate)
      if beside > 0 { ratios.append(rate / beside) }
    }
    return BenchResult(
      name: workload.name, unit: "GB/s", samples: rates, reference: hasFio ? "fio, depth \(depth)" : "fio is missing",
      ratios: ratios.isEmpty ? nil : ratios)
  }

  /// Opening a tier full of the smallest pages, headers in the page cache, without a snapshot.
  func rebuild() throws(RoostError) -> [BenchResult] {
    let capacity = scale == .full ? 2 << 30 : 64 << 20
    let first = try tier(capacity, "&io=cached")
    var written: [TierPage] = []
    let small = 4096
    while written.count * 2 * small < capacity / 10 * 9 {
      let more = pages(small).prefix((capacity / 10 * 9 - written.count * 2 * small) / (2 * small) + 1)
      try run(.write, Array(more), on: first)
      written += more
    }
    first.close(until: .after(seconds: 60))
    var samples: [Double] = []
    var pageCosts: [Double] = []
    for _ in 0..<sampleCount {
      unlink(path + "/tier/snapshot")
      let address = "disk://\(path)/tier?capacity=\(capacity)&io=cached"
      let again = try Builtins.tiers().open(address)
      let before = ProcessMemory.residentBytes
      ProcessMemory.resetPeak()
      let report = try again.recover(until: .after(seconds: 120))
      pageCosts.append(Double(ProcessMemory.peakBytes - before) / Double(max(1, report.pageCount)))
      guard report.pageCount >= written.count, !report.usedSnapshot else {
        throw RoostError(.corrupt, "the tier of the bench came back with \(report.pageCount) pages")
      }
      samples.append(Double(report.pageCount) / report.seconds / 1e6)
      again.close(until: .after(seconds: 60))
    }
    return [
      BenchResult(name: "rebuild", unit: "M/s", samples: samples, reference: "at least 0.5 M/s"),
      BenchResult(name: "rebuild-memory", unit: "B/page", samples: pageCosts, reference: "at most 120 B at the peak"),
    ]
  }
}
