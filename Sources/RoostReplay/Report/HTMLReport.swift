import RoostConsole
import RoostPrimitives

/// A page about one replay, or about several of the same requests under different policies.
///
/// Self-contained: no network, no framework. The charts are drawn here, so that they are there in print, in a mail and
/// where scripts are off; the script only reads values out under the pointer. The numbers stand in the page as JSON.
public struct HTMLReport: Sendable {
  let reports: [ReplayReport]
  /// The one that the charts are about.
  let main: ReplayReport

  /// A page about `main`, compared with the others.
  public init(_ main: ReplayReport, comparedWith others: [ReplayReport] = []) {
    self.main = main
    reports = [main] + others
  }

  /// The whole page.
  public var text: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <meta http-equiv="Content-Security-Policy"
     content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
    <title>Roost: \(HTMLText.escaped(main.source))</title>
    <style>
    \(HTMLReport.style)
    </style>
    </head>
    <body>
    <main>
    \(heading)
    \(tiles)
    \(hitChart)
    \(loadChart)
    \(latencies)
    \(poolChart)
    \(comparison)
    \(conditions)
    </main>
    <script type="application/json" id="roost-data">\(HTMLText.embedded(data))</script>
    <script>
    \(HTMLReport.script)
    </script>
    </body>
    </html>

    """
  }

  /// Everything that the page shows, for the script, for tests, and for whoever wants the numbers.
  var data: JSONValue {
    .object([
      "reports": .array(reports.map(\.json)),
      "series": .array(reports.map { HTMLReport.json(of: $0.statistics.series) }),
    ])
  }

  private static func json(of series: TimeSeries) -> JSONValue {
    func column(_ value: (TimeSeries.Interval) -> Int) -> JSONValue {
      .array(series.intervals.map { .count(value($0)) })
    }
    return .object([
      "requests": column(\.requestCount), "references": column(\.referenceCount), "hits": column(\.hitCount),
      "admitted": column(\.admittedCount), "refused": column(\.refusedCount), "occupied": column(\.occupiedCount),
      "milliseconds": column(\.milliseconds),
    ])
  }

  /// A report's name among the others: its policy, and the size of its pool where sizes differ.
  func name(of report: ReplayReport) -> String {
    let slots = report.configuration.slotCount
    guard reports.contains(where: { $0.configuration.slotCount != slots }) else { return report.configuration.policy }
    return "\(report.configuration.policy), \(NumberText.grouped(slots)) slots"
  }

  private var hitChart: String {
    var chart = HTMLChart(
      name: "hits", title: "Hit ratio over time",
      caption: "Share of the requested blocks that the pool held. The steps are the requests of the moment; the line "
        + "runs from the first request to that one, and ends at the figure above.",
      requestCount: main.statistics.series.requestCount, top: 1, label: { NumberText.fixed($0 * 100, 0) + " %" })
    let moment = main.statistics.series.steps(top: 1) { interval in
      interval.referenceCount > 0 ? Double(interval.hitCount) / Double(interval.referenceCount) : 0
    }
    chart.shapes.append(
      HTMLChart.Shape(label: "of the moment", style: "moment", points: moment, isArea: true, data: "moment"))
    for (index, report) in reports.enumerated().reversed() {
      let label = reports.count == 1 ? "since the start" : name(of: report)
      chart.shapes.append(
        HTMLChart.Shape(
          label: label, style: "line s\(index % 6)", points: report.statistics.series.runningHitRatio,
          data: "running \(index)"))
    }
    return chart.html
  }

  private var loadChart: String {
    let series = main.statistics.series
    func perRequest(_ count: Int, _ interval: TimeSeries.Interval) -> Double {
      Double(count) / Double(max(1, interval.requestCount))
    }
    let top = HTMLChart.roundTop(series.intervals.map { perRequest($0.referenceCount, $0) }.max() ?? 1)
    let numbers = main.statistics
    let computed = numbers.referenceCount - numbers.prefixHitCount
    let shares = "\(NumberText.grouped(numbers.prefixHitCount)) blocks came from the pool, "
    var chart = HTMLChart(
      name: "sources", title: "Where blocks came from",
      caption: shares + "\(NumberText.grouped(computed)) had to be computed. Blocks a request:",
      requestCount: series.requestCount, top: top, label: { NumberText.fixed($0, top < 8 ? 1 : 0) })
    chart.shapes = [
      HTMLChart.Shape(
        label: "computed", style: "computed",
        points: series.steps(top: top) { perRequest($0.referenceCount, $0) }, isArea: true, data: "references"),
      HTMLChart.Shape(
        label: "loaded from the pool", style: "pool",
        points: series.steps(top: top) { perRequest($0.hitCount, $0) }, isArea: true, data: "hits"),
    ]
    return chart.html
  }

  private var poolChart: String {
    let series = main.statistics.series
    let slots = main.configuration.slotCount
    let page = main.configuration.page.byteCount
    let full = Double(slots)
    var chart = HTMLChart(
      name: "pool", title: "Pool occupancy",
      caption: "Slots in use, of \(NumberText.grouped(slots)) (\(ByteCount(slots * page))). "
        + "\(NumberText.grouped(main.statistics.evictionCount)) blocks were evicted to make room.",
      requestCount: series.requestCount, top: 1, label: { NumberText.fixed($0 * 100, 0) + " %" })
    chart.shapes = [
      HTMLChart.Shape(
        label: "in use", style: "occupied", points: series.steps(top: full) { Double($0.occupiedCount) }, isArea: true,
        data: "occupied")
    ]
    return chart.html
  }
}
