import RoostConsole
import RoostPrimitives
import Testing

@testable import RoostReplay

@Suite struct ReportTests {
  /// A report of a dry run of the built-in workload.
  private func report(policy: String = "lru", source: String? = nil) throws -> ReplayReport {
    let model = try ModelGeometry(parsing: "llama-3.1-8b")
    var configuration = ReplayConfiguration(page: try PageGeometry(scaling: model, to: 64 << 10), slotCount: 2_000)
    configuration.policy = policy
    configuration.isDryRun = true
    configuration.requestLimit = 300
    let report = try Replay(configuration).run(BuiltInWorkload(seed: 3))
    return ReplayReport(report.configuration, source: source ?? report.source, report.statistics)
  }

  @Test func aSeriesOfAnyLengthKeepsEverySumAndTheOrder() {
    let seed: UInt64 = 17
    var random = SplitMix64(seed: seed)
    for count in [0, 1, 127, 128, 129, 5_000] {
      var series = TimeSeries()
      var (hits, references, running) = (0, 0, [Int]())
      for index in 0..<count {
        var request = TimeSeries.Interval()
        request.requestCount = 1
        request.referenceCount = Int.random(in: 1...40, using: &random)
        request.hitCount = Int.random(in: 0...request.referenceCount, using: &random)
        request.occupiedCount = index
        request.milliseconds = index * 10
        (hits, references) = (hits + request.hitCount, references + request.referenceCount)
        running.append(hits)
        series.add(request)
      }
      #expect(series.intervals.count <= Limits.intervalCountMax && series.requestCount == count)
      #expect(series.intervals.reduce(0) { $0 + $1.referenceCount } == references, "seed \(seed)")
      #expect(series.intervals.dropLast().allSatisfy { $0.requestCount == series.requestsPerInterval })
      var (seen, found) = (0, 0)
      for interval in series.intervals {
        seen += interval.requestCount
        found += interval.hitCount
        #expect(found == running[seen - 1], "seed \(seed), \(count) requests")
        #expect(interval.occupiedCount == seen - 1 && interval.milliseconds == (seen - 1) * 10)
      }
    }
  }

  @Test func theSeriesAddsUpToTheReport() throws {
    let numbers = try report().statistics
    let intervals = numbers.series.intervals
    #expect(intervals.reduce(0) { $0 + $1.hitCount } == numbers.prefixHitCount && numbers.prefixHitCount > 0)
    #expect(intervals.reduce(0) { $0 + $1.admittedCount } == numbers.admittedCount)
    #expect(intervals.reduce(0) { $0 + $1.refusedCount } == numbers.refusedCount)
    #expect(intervals.last?.occupiedCount == numbers.admittedCount - numbers.evictionCount)
  }

  @Test func aNameFromOutsideIsTextWhereverItStands() throws {
    let name = "</script><img src=x onerror=alert(1)>\"'&\u{1}.jsonl"
    let page = HTMLReport(try report(source: name)).text
    #expect(!page.contains("<img") && !page.contains("\u{1}"))
    #expect(page.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;\u{FFFD}.jsonl"))
    #expect(page.split(separator: "</script>").count == 3, "the data, the script and the rest")
    let start = try #require(page.split(separator: "id=\"roost-data\">").last)
    let data = try #require(start.split(separator: "</script>").first)
    #expect(try JSONValue(parsing: String(data))["reports"]?.elements?.first?["trace"]?.text == name)
  }

  @Test func thePageFetchesNothing() throws {
    let page = HTMLReport(try report()).text
    for word in ["http:", "https:", "src=", "href=", "url(", "@import"] { #expect(!page.contains(word), "\(word)") }
    #expect(page.contains("default-src 'none'"))
  }

  @Test func everyPolicyHasALineABarAndARow() throws {
    let main = try report()
    let page = HTMLReport(main, comparedWith: [try report(), main]).text
    for index in 0..<3 {
      #expect(
        page.contains("data-of=\"running \(index)\"") && page.contains("class=\"s\(index)\" data-of=\"\(index)\""))
    }
    #expect(page.contains("<th>points</th>") && !HTMLReport(main).text.contains("<th>points</th>"))
  }

  @Test(arguments: [(0.0, 1.0), (1, 1), (1.1, 2), (62, 80), (99, 100), (0.03, 0.04), (2_100, 2_500)])
  func theTopOfAnAxisIsARoundNumberAboveTheData(value: Double, top: Double) {
    #expect(abs(HTMLChart.roundTop(value) - top) < top * 1e-9)
  }
}
