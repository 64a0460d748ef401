import RoostConsole
import RoostLayout
import RoostLayoutText
import RoostPrimitives

/// What `roost layout show` prints.
struct LayoutSummary {
  private let layout: Layout
  private let range: Range<Int>
  private let byteCount: Int
  private var occupiedCount = 0
  private var runCount = 0
  private var runMin = Int.max
  private var runMax = 0

  /// Looks at the layout; throws where it has too many runs to count.
  init(_ layout: Layout) throws(RoostError) {
    self.layout = layout
    range = layout.byteRange
    byteCount = layout.byteCount
    let count = layout.strided().reduce(0) { $0 + $1.pieceCount }
    guard count <= LayoutCase.entryCountMax else {
      throw RoostError(
        .invalidInput, "\(count) runs, more than the \(LayoutCase.entryCountMax) that are counted; show a page of it")
    }
    for run in try LayoutError.translated({ () throws(LayoutError) in try layout.runs() }) {
      runCount += 1
      occupiedCount += run.byteCount
      runMin = min(runMin, run.byteCount)
      runMax = max(runMax, run.byteCount)
    }
  }

  /// One object, for a script.
  var json: JSONValue {
    let strided = layout.strided().map(\.json)
    return .object([
      "layout": layout.json, "bytes": .count(byteCount), "start": .count(range.lowerBound),
      "end": .count(range.upperBound),
      "runs": .object(["count": .count(runCount), "min_bytes": .count(runMin), "max_bytes": .count(runMax)]),
      "strided": strided.count == 1 ? strided[0] : .array(strided),
    ])
  }

  /// A table of axes and a few lines, for a person.
  var text: String {
    var table = Table([("plane", .right), ("axis", .left), ("extent", .right), ("stride", .right), ("", .left)])
    for (number, plane) in layout.planes.enumerated() {
      for (index, axis) in plane.axes.enumerated() {
        let isHierarchical = plane.axes.count { $0.name == axis.name } > 1
        table.add([
          index == 0 ? String(number) : "", axis.name.text, NumberText.grouped(axis.extent),
          NumberText.grouped(axis.strideBytes), isHierarchical ? "a digit of '\(axis.name)'" : "",
        ])
      }
      table.add(["", "(item)", "", NumberText.grouped(plane.itemByteCount), "from byte \(plane.offsetBytes)"])
    }
    let hole = range.count - occupiedCount
    var lines = table.text + "\n"
    lines += "\(LayoutSummary.size(byteCount)) from byte \(range.lowerBound) to "
    lines += "\(range.upperBound)" + (hole > 0 ? ", \(NumberText.grouped(hole)) of them holes" : "") + "\n"
    let sizes = runMin == runMax ? "of" : "of \(LayoutSummary.size(runMin)) to"
    lines += "\(NumberText.grouped(runCount)) contiguous \(runCount == 1 ? "run" : "runs") \(sizes) "
    lines += "\(LayoutSummary.size(runMax))\n"
    if layout.isOpaque { lines += "opaque: must not be cut by token\n" }
    return lines
  }

  private static func size(_ bytes: Int) -> String {
    "\(NumberText.grouped(bytes)) bytes" + (bytes < 1024 ? "" : " (\(ByteCount(bytes)))")
  }
}
