import RoostConsole
import RoostPrimitives
import Testing

@Suite struct PresentationTests {
  /// A clock that stands still until it is told.
  private final class SteppedClock: Clock, @unchecked Sendable {
    // Used by one thread only, the test's.
    var nanoseconds: UInt64 = 0
    func advance(seconds: Double) { nanoseconds += UInt64(seconds * 1e9) }
  }

  @Test func tablesAlignTheirColumnsAndLeaveNoSpacesAtLineEnds() {
    var table = Table([("name", .left), ("GB/s", .right), ("note", .left)])
    table.add(["store/64KiB", "21.4"])
    table.add(["load", "9.0", "cold"])
    #expect(
      table.text == """
        name         GB/s  note
        -----------  ----  ----
        store/64KiB  21.4
        load          9.0  cold

        """)
  }

  @Test func tablesWithoutTitlesHaveNoHead() {
    var table = Table([("", .left), ("", .right)])
    table.add(["a", "1"])
    #expect(table.text == "a  1\n")
  }

  @Test func progressIsPlainLinesWhereThereIsNoTerminal() {
    let clock = SteppedClock()
    var lines: [String] = []
    let stream = ProgressReport.Stream(isTerminal: false) { lines.append($0) }
    let report = ProgressReport("replay", unit: "requests", total: 1_000, stream: stream, clock: clock)
    for done in 1...120 {
      clock.advance(seconds: 0.1)
      report.update(done * 5, detail: "hits 3 %")
    }
    report.finish()
    #expect(
      lines == [
        "replay: 25% 250/1,000 requests  50/s  ETA 15.0 s  hits 3 %\n",
        "replay: 50% 500/1,000 requests  50/s  ETA 10.0 s  hits 3 %\n",
      ])
  }

  @Test func progressIsABarOnATerminalAndGoesAway() {
    let clock = SteppedClock()
    var drawn: [String] = []
    let stream = ProgressReport.Stream(isTerminal: true) { drawn.append($0) }
    let report = ProgressReport("replay", unit: "requests", total: 4, stream: stream, clock: clock)
    clock.advance(seconds: 1)
    report.update(2)
    clock.advance(seconds: 0.01)
    report.update(3)
    report.finish()
    #expect(drawn.count == 2)
    #expect(drawn.first?.hasPrefix("\rreplay [============>           ]  50%  2/4 requests  2.0/s  ETA 1.0 s") == true)
    #expect(drawn.last == "\r\u{1B}[K")
  }

  @Test func progressWithoutATotalHasNoPercentage() {
    let clock = SteppedClock()
    var lines: [String] = []
    let stream = ProgressReport.Stream(isTerminal: false) { lines.append($0) }
    let report = ProgressReport("read", unit: "lines", total: nil, stream: stream, clock: clock)
    clock.advance(seconds: 10)
    report.update(20_000)
    #expect(lines == ["read: 20,000 lines  2,000/s\n"])
  }

  @Test(arguments: [
    (0.0, 2, "0.00"), (2.345, 1, "2.3"), (-0.004, 2, "0.00"), (-1.5, 0, "-2"), (0.05, 2, "0.05"),
    (1234.5678, 3, "1234.568"),
    (.infinity, 1, "-"), (.nan, 1, "-"),
  ])
  func printsFixedDecimals(value: Double, decimals: Int, expected: String) {
    #expect(NumberText.fixed(value, decimals) == expected)
  }

  @Test(arguments: [(0, "0"), (999, "999"), (1_000, "1,000"), (6_369_481, "6,369,481"), (-12_345, "-12,345")])
  func groupsThousands(value: Int, expected: String) { #expect(NumberText.grouped(value) == expected) }

  @Test(arguments: [
    (8.4e-7, "840 ns"), (0.0000124, "12.4 us"), (0.0031, "3.1 ms"), (2.0, "2.0 s"), (245.0, "4:05 min"),
    (3720.0, "1:02:00 h"),
  ])
  func printsDurations(seconds: Double, expected: String) { #expect(NumberText.duration(seconds: seconds) == expected) }
}
