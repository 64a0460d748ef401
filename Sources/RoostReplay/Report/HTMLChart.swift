import RoostConsole

/// A chart over the requests of a replay: an SVG that stretches with the page, its labels beside it as plain text, which
/// therefore stays readable at every width.
struct HTMLChart {
  /// Units of the drawing across and down; they stretch to whatever the page has.
  static let width = 1000.0
  static let height = 300.0

  /// One line or area, drawn in the order of the list.
  struct Shape {
    /// What it is called in the legend; nil for none.
    var label: String?
    /// How the style sheet knows it.
    var style: String
    /// Points as drawn.
    var points: [(x: Double, y: Double)]
    /// Whether it is filled down to the ground.
    var isArea = false
    /// The JSON path that a test finds its numbers by.
    var data: String
  }

  /// How the script and the tests know it.
  let name: String
  /// Its heading.
  let title: String
  /// What a person should see in it, one or two sentences.
  let caption: String
  /// Requests across.
  let requestCount: Int
  /// The value at the top.
  let top: Double
  /// How values are written on the axis.
  let label: (Double) -> String
  var shapes: [Shape] = []

  /// The chart as HTML.
  var html: String {
    let drawn = shapes.map(HTMLChart.element).joined(separator: "\n")
    let grid = [0.25, 0.5, 0.75].map { share in
      let y = NumberText.fixed(HTMLChart.height * share, 1)
      return "<line class=\"grid\" x1=\"0\" x2=\"1000\" y1=\"\(y)\" y2=\"\(y)\"/>"
    }.joined()
    let values = [1.0, 0.75, 0.5, 0.25, 0].map { "<span>\(HTMLText.escaped(label(top * $0)))</span>" }.joined()
    let requests = [0.0, 0.25, 0.5, 0.75, 1].map { share in
      "<span>\(NumberText.grouped(Int((Double(requestCount) * share).rounded())))</span>"
    }.joined()
    let named = shapes.compactMap { shape in
      shape.label.map { "<li><i class=\"\(shape.style)\"></i>\(HTMLText.escaped($0))</li>" }
    }.joined()
    return """
      <figure class="chart" data-chart="\(name)" data-top="\(top)">
      <h2>\(HTMLText.escaped(title))</h2>
      <p class="caption">\(HTMLText.escaped(caption))</p>
      <ul class="legend">\(named)</ul>
      <div class="frame"><div class="values">\(values)</div><div class="plot">
      <svg viewBox="0 0 1000 300" preserveAspectRatio="none" role="img" aria-label="\(HTMLText.escaped(title))">
      \(grid)
      \(drawn)
      </svg><div class="cursor" hidden></div></div><div class="requests">\(requests)</div></div>
      <p class="readout" aria-live="polite">requests, in the order of their arrival</p>
      </figure>

      """
  }

  /// The place of a value from the top down.
  static func y(_ value: Double, of top: Double) -> Double {
    top > 0 ? height * (1 - min(1, max(0, value / top))) : height
  }

  /// A round number at or a little above the largest value: 1, 2, 2.5, 4, 5, 6 or 8 times a power of ten, all of which
  /// have plain quarters.
  static func roundTop(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return 1 }
    var power = 1.0
    while power * 10 <= value { power *= 10 }
    while power > value { power /= 10 }
    return ([1, 2, 2.5, 4, 5, 6, 8, 10].first { power * $0 >= value * 0.999_999 } ?? 10) * power
  }

  private static func element(_ shape: Shape) -> String {
    func text(_ value: Double) -> String { NumberText.fixed(value, 2) }
    var points = shape.points.map { "\(text($0.x)),\(text($0.y))" }
    let kind = shape.isArea ? "polygon" : "polyline"
    if shape.isArea, let first = shape.points.first, let last = shape.points.last {
      points = ["\(text(first.x)),\(text(height))"] + points + ["\(text(last.x)),\(text(height))"]
    }
    return "<\(kind) class=\"\(shape.style)\" data-of=\"\(shape.data)\" points=\"\(points.joined(separator: " "))\"/>"
  }
}

extension TimeSeries {
  /// Requests of all intervals.
  var requestCount: Int { intervals.reduce(0) { $0 + $1.requestCount } }

  /// Where intervals begin and end across a chart.
  private var edges: [(start: Double, end: Double)] {
    let scale = HTMLChart.width / Double(max(1, requestCount))
    var seen = 0
    return intervals.map { interval in
      let start = Double(seen) * scale
      seen += interval.requestCount
      return (start, Double(seen) * scale)
    }
  }

  /// A level for each interval: two points each, at its beginning and its end.
  func steps(top: Double, _ value: (Interval) -> Double) -> [(x: Double, y: Double)] {
    zip(edges, intervals).flatMap { edge, interval in
      let y = HTMLChart.y(value(interval), of: top)
      return [(x: edge.start, y: y), (x: edge.end, y: y)]
    }
  }

  /// The share of blocks that were hits from the beginning to the end of each interval: one point each.
  var runningHitRatio: [(x: Double, y: Double)] {
    var (hits, references) = (0, 0)
    return zip(edges, intervals).map { edge, interval in
      hits += interval.hitCount
      references += interval.referenceCount
      return (x: edge.end, y: HTMLChart.y(references > 0 ? Double(hits) / Double(references) : 0, of: 1))
    }
  }
}
