import Foundation
import RoostConformance
import RoostPrimitives
import RoostStorage
import Testing

@testable import TierDisk

/// A process that writes is killed at random points, 20 times (200 in CI, see `Soak`): every page that is there
/// afterwards is exact, and none that was reported as done is lost.
@Suite struct CrashTests {
  private static let killCount = 20 * Soak.factor
  /// Under a quarter of the tier, so that none of the last ones is evicted.
  private static let lastCount: UInt64 = 40
  private static let capacity = 12 << 20

  @Test(arguments: [DiskIO.ring, .threads]) func aKilledWriterLosesNothingThatWasDone(io: DiskIO) throws {
    let seed = UInt64(getpid()) &* 0x9E37_79B9 &+ UInt64(time(nil))
    var generator = SplitMix64(seed: seed)
    var next: UInt64 = 0
    var readCount = 0
    var awaitedCount = 0
    try Scratch.withDirectory { path in
      for round in 0..<(CrashTests.killCount / 2) {
        // Both keep what was written last, whatever the killed process thought.
        let writer = try Writer(path, io, round % 2 == 0 ? "lru" : "fifo", next)
        #expect(writer.line() == "ready", "seed \(seed), round \(round)")
        // Some pages and a moment: however slow the machine is, there is something to lose.
        let awaited = (0..<Int.random(in: 0...8, using: &generator)).compactMap { _ in writer.line() }
        awaitedCount += awaited.count
        usleep(UInt32.random(in: 0..<10_000, using: &generator))
        writer.kill()
        let first = next
        for line in awaited + writer.rest {
          guard let number = UInt64(line) else {
            Issue.record("seed \(seed), round \(round): \(line)")
            continue
          }
          next = number
        }
        readCount += try check(path, first..<next, round)
        // What was under way when the writer died may be there or not.
        next += 4
      }
    }
    #expect(readCount >= awaitedCount && awaitedCount > 0, "seed \(seed): pages were reported and not looked for")
  }

  /// Reads everything that may be there; counts what was promised.
  private func check(_ path: String, _ done: Range<UInt64>, _ round: Int) throws -> Int {
    let tier = try Scratch.open(path, configuration)
    defer { tier.close(until: .after(seconds: 0)) }
    let end = done.upperBound
    let start = end > CrashTests.lastCount ? end - CrashTests.lastCount : 0
    let sheets = (start..<(end + 8)).map { TierSheet($0, byteCount: CrashTests.byteCount(of: $0)) }
    // `read` compares every byte.
    let outcomes = try tier.read(sheets)
    var count = 0
    for (sheet, outcome) in zip(start..., outcomes) where done.contains(sheet) {
      count += 1
      if outcome != .done { Issue.record("round \(round): page \(sheet) was done and is \(outcome.rawValue)") }
    }
    return count
  }

  private var configuration: DiskTierConfiguration { Scratch.configuration(ByteCount(CrashTests.capacity)) }

  /// As in TierProbe.
  private static func byteCount(of number: UInt64) -> Int { [8192, 20_000, 65_536][Int(number % 3)] }
}

/// A `TierProbe` process.
private final class Writer {
  private let process = Process()
  private let output = Pipe()
  private var pending = Data()

  init(_ path: String, _ io: DiskIO, _ policy: String, _ first: UInt64) throws {
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    let folder = URL(fileURLWithPath: bundle).deletingLastPathComponent()
    process.executableURL = folder.appendingPathComponent("TierProbe")
    process.arguments = [path, "\(12 << 20)", io.rawValue, policy, "\(first)"]
    process.standardOutput = output
    try process.run()
  }

  func line() -> String? {
    while true {
      if let end = pending.firstIndex(of: 10) {
        defer { pending.removeSubrange(...end) }
        return String(decoding: pending[..<end], as: UTF8.self)
      }
      let part = output.fileHandleForReading.availableData
      if part.isEmpty { return nil }
      pending += part
    }
  }

  func kill() {
    Foundation.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  /// The lines until its end.
  var rest: [String] {
    var lines: [String] = []
    while let line = line() { lines.append(line) }
    return lines
  }
}
