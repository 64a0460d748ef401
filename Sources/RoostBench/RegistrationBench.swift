import Glibc
import RoostPrimitives
import RoostStorage

extension DiskScene {
  /// Reads into memory that is registered with io_uring, each sample beside the same reads into memory that is not: two
  /// tiers of the same pages. What it costs in the kernel is told too. Nothing where memory cannot be registered.
  func registration() throws(RoostError) -> [BenchResult] {
    var results: [BenchResult] = []
    for (name, blockBytes) in [("registered-read/2MiB", 2 << 20), ("registered-random-read/64KiB", 64 << 10)] {
      let options = "&segment=\(totalBytes / 8)&pin="
      let registered = try tier(roomBytes, options + "\(2 * totalBytes)")
      let plain = try tier(roomBytes, options + "0", in: "other")
      registered.register(memory)
      let isRegistered = registered.usage.registeredBytes > 0
      if isRegistered { results += try compare(name, blockBytes, registered, plain) }
      remove(registered)
      remove(plain, in: "other")
    }
    return results
  }

  private func compare(
    _ name: String, _ blockBytes: Int, _ registered: any Tier, _ plain: any Tier
  ) throws(RoostError) -> [BenchResult] {
    let pages = pages(blockBytes)
    try run(.write, pages, on: registered)
    try run(.write, pages, on: plain)
    var rates: [Double] = []
    var ratios: [Double] = []
    var costs: [Double] = []
    var costRatios: [Double] = []
    for sample in 0..<sampleCount {
      let order = blockBytes < 1 << 20 ? pages.shuffled() : pages
      let before = sample % 2 == 0 ? try read(order, on: plain) : nil
      let own = try read(order, on: registered)
      let beside = if let before { before } else { try read(order, on: plain) }
      rates.append(Double(order.count * blockBytes) / own.seconds / 1e9)
      ratios.append(beside.seconds / own.seconds)
      costs.append(own.kernelSeconds * 1e6 / Double(order.count))
      costRatios.append(own.kernelSeconds / max(beside.kernelSeconds, 1e-6))
    }
    return [
      BenchResult(name: name, unit: "GB/s", samples: rates, reference: "memory not registered", ratios: ratios),
      BenchResult(
        name: name + "/kernel", unit: "us/page", samples: costs, reference: "memory not registered",
        ratios: costRatios),
    ]
  }

  /// How long reading takes, and the processor time of it that the kernel takes on this process's behalf.
  private func read(
    _ pages: [TierPage], on tier: any Tier
  ) throws(RoostError) -> (seconds: Double, kernelSeconds: Double) {
    let start = DiskScene.kernelSeconds
    let seconds = try Sampling.seconds { () throws(RoostError) in try run(.read, pages, on: tier) }
    return (seconds, DiskScene.kernelSeconds - start)
  }

  private static var kernelSeconds: Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Double(usage.ru_stime.tv_sec) + Double(usage.ru_stime.tv_usec) / 1e6
  }
}
