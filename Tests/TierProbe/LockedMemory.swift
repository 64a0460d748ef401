import Glibc
import RoostConformance
import RoostPrimitives
import RoostStorage
import TierDisk

/// Reads pages into memory that is to be registered, under a limit of 64 KiB and without privileges. Writes a line for
/// each attempt: its name, the bytes that are registered, and whether the pages were exact.
enum LockedMemory {
  private static let limitBytes: UInt = 64 << 10

  static func run(_ path: String) {
    var limit = rlimit(rlim_cur: rlim_t(limitBytes), rlim_max: rlim_t(limitBytes))
    guard mkdir(path, 0o777) == 0, chmod(path, 0o777) == 0,
      setrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0,
      geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0)
    else { return TierProbe.say("errno \(errno)") }
    do throws(RoostError) {
      try attempt("limit", path + "/1", pinning: nil, byteCount: 1 << 20)
      try attempt("kernel", path + "/2", pinning: 16 << 20, byteCount: 1 << 20)
      try attempt("small", path + "/3", pinning: nil, byteCount: 16 << 10)
    } catch {
      TierProbe.say("error \(error)")
    }
  }

  private static func attempt(
    _ name: String, _ path: String, pinning: Int?, byteCount: Int
  ) throws(RoostError) {
    let directory = try DiskDirectory(path, io: .ring, pinnedBytesMax: pinning)
    let tier = try DiskTier(directory, DiskTierConfiguration(capacity: .mebibytes(4)))
    _ = try tier.recover(until: .never)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 4096)
    tier.register(memory)
    let registered = tier.usage.registeredBytes
    let sheets = (0..<2 as Range<UInt64>).map { TierSheet($0, byteCount: 8192) }
    try run(tier, .write, sheets.map(\.forWriting))
    let pages = sheets.enumerated().map { index, sheet in
      TierPage(
        sheet.name, memory: UnsafeMutableRawBufferPointer(rebasing: memory[(index * 8192)..<((index + 1) * 8192)]))
    }
    try run(tier, .read, pages)
    let isExact = zip(sheets, pages).allSatisfy { $0.memory.elementsEqual($1.memory) }
    tier.close(until: .after(seconds: 30))
    memory.deallocate()
    TierProbe.say("\(name) \(registered) \(isExact ? "exact" : "wrong")")
  }

  private static func run(_ tier: DiskTier, _ verb: TierVerb, _ pages: [TierPage]) throws(RoostError) {
    _ = try tier.submit(TierBatch(verb, pages))
    while true {
      var events: [TierEvent] = []
      tier.poll(16, into: &events)
      for event in events {
        switch event {
        case .released: return
        case .page(_, _, .done): break
        case .page(_, _, let outcome): throw RoostError(.system, "a page is \(outcome)")
        }
      }
      if events.isEmpty { _ = tier.wait(until: .after(seconds: 1)) }
    }
  }
}
