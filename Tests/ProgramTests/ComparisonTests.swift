import Foundation
import RoostConsole
import Testing

/// `roost replay` with several policies and sizes.
@Suite struct ComparisonTests {
  private static let dry = ["replay", "--dry-run", "--requests", "300"]

  private func lines(_ arguments: [String]) throws -> [JSONValue] {
    let outcome = try RoostProgram(ComparisonTests.dry + ["--json"] + arguments).finish()
    #expect(outcome.status == 0, "\(outcome.errors)")
    return try outcome.output.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
  }

  @Test func printsOneObjectALineForEachSizeAndPolicy() throws {
    let runs = try lines(["--policy", "lru,hazard", "--policy=arc", "--sizes", "64,5%", "--bound"])
    #expect(runs.compactMap { $0["policy"]?.text } == ["lru", "hazard", "arc", "lru", "hazard", "arc"])
    let unique = try #require(runs[0]["unique_blocks"]?.int)
    #expect(
      runs.compactMap { $0["host_blocks"]?.int } == Array(repeating: 64, count: 3)
        + Array(repeating: unique / 20, count: 3))
    for run in runs {
      let hits = try #require(run["prefix_hits"]?.int)
      #expect(hits <= run["offline_hits"]?.int ?? 0)
    }
  }

  @Test func aRunAmongOthersIsTheRunAlone() throws {
    let together = try lines(["--policy", "fifo,hazard,hazard+output", "--host-blocks", "500"])
    for (run, name) in zip(together, ["fifo", "hazard", "hazard+output"]) {
      let alone = try #require(try lines(["--policy", name, "--host-blocks", "500"]).first)
      for field in ["prefix_hits", "admitted_blocks", "refused_blocks", "evictions", "output_length"] {
        #expect(run[field] == alone[field], "\(name): \(field)")
      }
    }
    #expect(together[1]["prefix_hits"] != together[2]["prefix_hits"], "the output length changes nothing")
  }

  @Test func theTableSaysHowMuchOfTheGapIsClosed() throws {
    let outcome = try RoostProgram(
      ComparisonTests.dry + ["--policy", "lru,hazard", "--sizes", "2%,10%", "--bound"]
    ).finish()
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("of all") && outcome.output.contains("offline"))
    #expect(outcome.output.contains("10.00 %") && outcome.output.contains("(+"))
  }

  @Test func aStoreFilterStoresLess() throws {
    let plain = try #require(try lines(["--policy", "lru", "--host-blocks", "4000"]).first)
    let filtered = try #require(
      try lines(["--policy", "lru", "--host-blocks", "4000", "--store-after", "2"]).first)
    let (all, some) = (try #require(plain["admitted_blocks"]?.int), try #require(filtered["admitted_blocks"]?.int))
    #expect(some > 0 && some < all)
    #expect(filtered["store_after"]?.int == 2)
  }

  @Test func thePageComparesThePolicies() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("roost-\(UUID().uuidString).html").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let outcome = try RoostProgram(
      ComparisonTests.dry + ["--policy", "lru,hazard", "--host-blocks", "500", "--report", path]
    ).finish()
    #expect(outcome.status == 0, "\(outcome.errors)")
    let page = try String(contentsOfFile: path, encoding: .utf8)
    #expect(page.contains("hazard") && page.contains("lru"))
  }

  @Test(arguments: [
    (["--sizes", "0%"], "--sizes takes"), (["--sizes", "101%"], "--sizes takes"), (["--sizes", "x"], "--sizes takes"),
    (["--sizes", "1,"], "empty value"), (["--sizes", "1", "--host-blocks", "1"], "give one of them"),
    (["--policy", "lru,nosuch"], "there is no eviction policy 'nosuch'"), (["--store-after", "256"], "from 1 to 255"),
  ])
  func saysWhatIsWrongWithACommandLine(arguments: [String], text: String) throws {
    let outcome = try RoostProgram(ComparisonTests.dry + arguments).finish()
    #expect(outcome.status == 2)
    #expect(outcome.errors.contains(text), "\(outcome.errors)")
  }
}
