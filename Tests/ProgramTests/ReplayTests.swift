import Foundation
import RoostConsole
import Testing

/// The main job, end to end: real processes, real memory, small pages.
@Suite(.serialized) struct ReplayTests {
  private static let small = ["replay", "--requests", "300", "--host-memory", "16MiB", "--block-bytes", "16KiB"]

  @Test func movesAndVerifiesTheBuiltInWorkload() throws {
    let outcome = try RoostProgram(ReplayTests.small + ["--json"]).finish()
    #expect(outcome.status == 0, "\(outcome.errors)")
    let report = try outcome.json()
    let names = [
      "policy", "host_blocks", "requests", "block_references", "unique_blocks", "prefix_hits", "prefix_hit_ratio",
      "evictions", "bytes_loaded", "bytes_stored", "load_gbps", "store_gbps", "memcpy_gbps", "lookup_ns_per_block",
      "verify_failures", "seconds",
    ]
    for name in names { #expect(report[name] != nil && report[name] != .null, "\(name)") }
    #expect(report["host_blocks"]?.int == 1024 && report["requests"]?.int == 300)
    let hits = try #require(report["prefix_hits"]?.int)
    let references = try #require(report["block_references"]?.int)
    #expect(hits > 1_000 && hits < references)
    #expect(report["prefix_hit_ratio"]?.double == Double(hits) / Double(references))
    #expect(report["bytes_loaded"]?.int == hits * 16_384)
    #expect(report["verified_blocks"]?.int == hits && report["verify_failures"]?.int == 0)
    let admitted = try #require(report["admitted_blocks"]?.int)
    #expect(report["bytes_stored"]?.int == admitted * 16_384)
    let kept = admitted - (report["evictions"]?.int ?? 0)
    #expect(kept > 0 && kept <= 1_024)
  }

  @Test func aDryRunDecidesAsTheRealRunDoes() throws {
    let real = try RoostProgram(ReplayTests.small + ["--json"]).finish().json()
    let dry = try RoostProgram(ReplayTests.small + ["--json", "--dry-run"]).finish().json()
    for name in ["requests", "block_references", "unique_blocks", "prefix_hits", "evictions", "admitted_blocks"] {
      #expect(real[name] == dry[name], "\(name)")
    }
    #expect(dry["bytes_loaded"]?.int == 0 && dry["load_gbps"] == .null && dry["verify"]?.bool == false)
  }

  @Test func aSecondReplayOverTheSameDiskStartsWarm() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("roost-replay-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let over = [
      "replay", "--requests", "200", "--host-memory", "8MiB", "--block-bytes", "16KiB", "--json", "--disk", folder.path,
      "--disk-capacity", "128MiB", "--disk-writes", "all", "--disk-policy", "hazard",
    ]
    let first = try RoostProgram(over).finish().json()
    let outcome = try RoostProgram(over).finish()
    #expect(outcome.status == 0, "\(outcome.errors)")
    let second = try outcome.json()
    for report in [first, second] {
      let disk = try #require(report["disk"])
      let (hits, below) = (report["prefix_hits"]?.int ?? 0, disk["hits"]?.int ?? 0)
      #expect(below > 0 && below <= hits, "\(below) of \(hits)")
      #expect(report["verify_failures"]?.int == 0 && report["verified_blocks"]?.int == hits)
      #expect(disk["bytes_read"]?.int ?? 0 >= below * 16_384 && disk["pages_dropped"]?.int == 0)
    }
    let (cold, warm) = (try #require(first["disk"]), try #require(second["disk"]))
    #expect(cold["pages_at_start"]?.int == 0)
    #expect(warm["pages_at_start"] == cold["pages_at_end"] && cold["pages_at_end"]?.int ?? 0 > 0)
    #expect(second["prefix_hits"]?.int ?? 0 > first["prefix_hits"]?.int ?? 0)
    #expect(cold["bytes_written"]?.int ?? 0 > warm["bytes_written"]?.int ?? 0)
  }

  @Test func aDiskGoesWithRealBytesAndOneSize() throws {
    for more in [["--dry-run"], ["--sizes", "100,200"], ["--disk-writes", "some"]] {
      let outcome = try RoostProgram(["replay", "--disk", "/nonexistent/roost"] + more).finish()
      #expect(outcome.status == 2, "\(more)")
    }
    #expect(try RoostProgram(["replay", "--disk-capacity", "1GiB"]).finish().status == 2)
    #expect(try RoostProgram(["replay", "--disk-policy", "arc"]).finish().status == 2)
    let typo = try RoostProgram(["replay", "--disk", "/nonexistent/roost", "--disk-policy", "hazrd"]).finish()
    #expect(typo.status == 2 && typo.errors.contains("did you mean 'hazard'?"))
  }

  @Test func anotherSeedIsAnotherWorkload() throws {
    func references(_ seed: String) throws -> JSONValue? {
      try RoostProgram.run("replay", "--dry-run", "--requests", "100", "--json", "--seed", seed).json()[
        "block_references"]
    }
    #expect(try references("1") == references("1"))
    #expect(try references("1") != references("2"))
  }

  @Test func countsEveryByteThatWasFlippedAndFails() throws {
    let outcome = try RoostProgram(ReplayTests.small + ["--json", "--fault", "corrupt=3"]).finish()
    #expect(outcome.status == 1)
    let report = try outcome.json()
    #expect(report["faults"]?.int == 3 && report["verify_failures"]?.int == 3)
    let text = try RoostProgram(ReplayTests.small + ["--fault=corrupt=3"]).finish()
    #expect(text.status == 1)
    #expect(text.output.contains("loaded pages DID NOT VERIFY"))
  }

  @Test(arguments: [
    ["--model", "deepseek-v3", "--block-bytes", "64KiB"],
    ["--model", "layers=3,heads=2,head-dim=24,dtype=fp8,tokens=7"],
    ["--model", "layers=2,latent=5,dtype=int8,tokens=1", "--block-bytes", "full"],
    ["--model", "qwen3-30b-a3b", "--block-bytes", "600"],
    ["--no-verify"],
  ])
  func movesPagesOfEveryShape(options: [String]) throws {
    let outcome = try RoostProgram(
      ["replay", "--requests", "60", "--host-blocks", "300", "--block-bytes", "100KiB", "--json"] + options
    ).finish()
    #expect(outcome.status == 0, "\(outcome.errors)")
    let report = try outcome.json()
    #expect(report["verify_failures"]?.int == 0)
    #expect(try #require(report["bytes_loaded"]?.int) > 0)
  }

  @Test func printsASummaryForPeople() throws {
    let outcome = try RoostProgram(ReplayTests.small).finish()
    #expect(outcome.status == 0)
    for text in [
      "built-in workload: 300 requests", "1,024 slots of 16 KiB, 16 MiB", "prefix hits", "x memcpy", "every byte right",
      "seed 1",
    ] {
      #expect(outcome.output.contains(text), "\(text)")
    }
  }

  @Test func endsCleanlyOnAnInterrupt() throws {
    let program = try RoostProgram(["replay", "--host-memory", "64MiB", "--block-bytes", "64KiB", "--json"])
    try program.awaitInterruptHandler()
    // Whether the pool is made by then makes a difference below, and none that is wrong.
    Thread.sleep(forTimeInterval: 1)
    program.process.interrupt()
    let outcome = program.finish()
    #expect(outcome.status == 130)
    if outcome.output.isEmpty {
      // A busy machine was still making the pool.
      #expect(outcome.errors.hasPrefix("roost: interrupted before the first request"))
    } else {
      let report = try outcome.json()
      #expect(report["interrupted"]?.bool == true && report["verify_failures"]?.int == 0)
    }
  }
}

/// The public traces through the program: the integers of an independent simulator.
@Suite(.serialized, .disabled(if: PublicTraces.areAbsent, "needs ../shared/data/traces")) struct PublicTraceReplayTests
{
  static var isRelease: Bool {
    #if DEBUG
      false
    #else
      true
    #endif
  }

  private func hits(_ trace: String, _ blocks: Int, _ options: [String]) throws -> Int? {
    let outcome = try RoostProgram(
      ["replay", PublicTraces.path(trace), "--host-blocks", "\(blocks)", "--json", "--policy", "lru"] + options
    ).finish()
    #expect(outcome.status == 0, "\(outcome.errors)")
    return try outcome.json()["prefix_hits"]?.int
  }

  @Test(arguments: [
    ("mooncake_conversation", 9_139, 56_479), ("mooncake_synthetic", 4_392, 31_973), ("tau_airline", 372, 82_742),
    ("ragpulse", 587, 12_823),
  ])
  func dryRunsHitExactlyAsTheReferenceDoes(trace: String, blocks: Int, expected: Int) throws {
    #expect(try hits(trace, blocks, ["--dry-run"]) == expected)
  }

  @Test func aRunWithRealBytesHitsExactlyAsTheReferenceDoes() throws {
    #expect(try hits("tau_airline", 372, ["--block-bytes", "4KiB"]) == 82_742)
  }

  @Test(
    .enabled(if: PublicTraceReplayTests.isRelease, "6.4 million references take a minute in a debug build"),
    arguments: [(576, 1_559_029), (2_307, 4_913_578)])
  func theLargestTraceHitsExactlyAsTheReferenceDoes(blocks: Int, expected: Int) throws {
    #expect(try hits("claude_code_a_512", blocks, ["--dry-run"]) == expected)
  }
}
