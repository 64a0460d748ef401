import Glibc
import RoostBuiltins
import RoostConformance
import RoostPrimitives
import RoostStorage
import TierDisk

/// A process that writes pages to a disk tier until it is killed, for the tests of TierTests.
///
/// `locked` and a directory instead: see `LockedMemory`.
///
/// Words: directory, capacity in bytes, I/O, policy, first page number. Writes `ready`, and after each batch the number behind
/// the last page that is done.
@main
enum TierProbe {
  static let batchPageCount: UInt64 = 4

  static func main() {
    let words = CommandLine.arguments
    if words.count == 3, words[1] == "locked" { return LockedMemory.run(words[2]) }
    guard words.count == 6, let capacity = Int(words[2]), let io = DiskIO(rawValue: words[3]),
      let first = UInt64(words[5])
    else { exit(2) }
    do throws(RoostError) {
      try run(words[1], capacity, io, words[4], first)
    } catch {
      say("error \(error)")
      exit(1)
    }
  }

  private static func run(
    _ path: String, _ capacity: Int, _ io: DiskIO, _ policy: String, _ first: UInt64
  ) throws(RoostError) {
    var configuration = DiskTierConfiguration(capacity: ByteCount(capacity))
    configuration.segment = .mebibytes(1)
    configuration.sync = .batch
    configuration.order = Builtins.diskOrders().first { $0.name == policy }
    let tier = try DiskTier(DiskDirectory(path, io: io), configuration)
    _ = try tier.recover(until: .never)
    say("ready")
    var next = first
    while true {
      let sheets = (next..<(next + batchPageCount)).map { TierSheet($0, byteCount: TierProbe.byteCount(of: $0)) }
      _ = try tier.submit(TierBatch(.write, sheets.map(\.forWriting)))
      var isReleased = false
      while !isReleased {
        var events: [TierEvent] = []
        tier.poll(16, into: &events)
        for event in events {
          switch event {
          case .released: isReleased = true
          case .page(_, _, .done): break
          case .page(_, let index, let outcome): say("page \(next + UInt64(index)): \(outcome)")
          }
        }
        if events.isEmpty { _ = tier.wait(until: .after(seconds: 1)) }
      }
      next += batchPageCount
      say("\(next)")
    }
  }

  /// Three sizes of slots, and lengths that are no multiple of anything.
  static func byteCount(of number: UInt64) -> Int { [8192, 20_000, 65_536][Int(number % 3)] }

  static func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
  }
}
