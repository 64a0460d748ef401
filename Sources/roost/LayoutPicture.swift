import RoostConsole
import RoostLayout
import RoostPrimitives

/// A map of one page as SVG: every byte in the order of its address, row below row, coloured by the rank that reads it.
///
/// Rows are steps of the outermost axes, so that a person sees which axis lies outside which, and why a rank that reads
/// one head of a page finds it in one piece in one layout and in hundreds in another.
struct LayoutPicture {
  /// Units of the drawing: the picture scales to the page that shows it.
  private static let (mapLeft, mapTop, mapWidth) = (150.0, 118.0, 820.0)
  /// Rows at most, so that a picture stays a picture.
  private static let rowCountMax = 80
  /// Rectangles at most: what a browser draws at once. Runs closer together than half a unit are joined first.
  private static let rectangleCountMax = 60_000

  private let page: Layout
  private let ranks: [Layout]
  private let title: String
  private let range: Range<Int>
  private let axes: [Axis]
  private let rowAxisCount: Int
  private let rowByteCount: Int
  private let rowCount: Int

  /// Looks at the first block of a layout, cut into equal parts of its heads.
  ///
  /// - Throws: `invalidInput` if the heads cannot be shared by so many ranks.
  init(of layout: Layout, title: String, rankCount: Int?) throws(RoostError) {
    func extent(_ name: AxisName) -> Int { layout.planes[0].extent(of: name) ?? 1 }
    let (blocks, heads) = (extent(.block), extent(.head))
    let page = try LayoutError.translated { () throws(LayoutError) in
      blocks > 1 ? try layout.narrow(.block, from: 0, count: 1) : layout
    }
    let count = rankCount ?? (heads > 1 ? heads : 1)
    guard count == 1 || heads > 1 else {
      throw RoostError(.invalidInput, "--ranks \(count): the layout has no heads to share among ranks")
    }
    var ranks: [Layout] = []
    for rank in 0..<count where count > 1 {
      ranks.append(
        try LayoutError.translated { () throws(LayoutError) in
          try page.shard(.head, total: heads, rank: rank, size: count)
        })
    }
    self.page = page
    self.ranks = ranks.isEmpty ? [page] : ranks
    self.title = title
    range = page.byteRange
    axes = page.planes[0].axes.filter { $0.extent > 1 }.sorted { $0.strideBytes > $1.strideBytes }
    (rowAxisCount, rowByteCount) = LayoutPicture.rows(of: axes, in: range)
    rowCount = (range.count + rowByteCount - 1) / rowByteCount
  }

  /// How many of the outermost axes count rows, and the bytes of a row.
  private static func rows(of axes: [Axis], in range: Range<Int>) -> (axisCount: Int, byteCount: Int) {
    var found = (axisCount: 0, byteCount: max(1, (range.count + 31) / 32))
    for (index, axis) in axes.enumerated() {
      guard (range.count + axis.strideBytes - 1) / max(1, axis.strideBytes) <= rowCountMax else { break }
      let isNested = axes[(index + 1)...].allSatisfy { $0.strideBytes * $0.extent <= axis.strideBytes }
      if isNested { found = (index + 1, axis.strideBytes) }
    }
    return found
  }

  /// The whole picture.
  func svg() throws(RoostError) -> String {
    let rowHeight = max(7.0, min(30, 620 / Double(rowCount)))
    let bottom = LayoutPicture.mapTop + rowHeight * Double(rowCount)
    var body = ""
    var counts: [Int] = []
    for (rank, layout) in ranks.enumerated() {
      let (rectangles, runCount) = try runs(of: layout, rank: rank, rowHeight: rowHeight)
      counts.append(runCount)
      body += "<g class=\"\(rank == 0 ? "own" : rank.isMultiple(of: 2) ? "even" : "odd")\" data-rank=\"\(rank)\" "
      body += "data-runs=\"\(runCount)\">\(rectangles)</g>\n"
    }
    let height = NumberText.fixed(bottom + 78, 0)
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 \(height)" font-family="system-ui, sans-serif">
      <title>\(LayoutPicture.escaped(title))</title>
      <style>\(LayoutPicture.style)</style>
      <rect class="paper" width="1000" height="\(height)"/>
      <text x="24" y="36" class="title">\(LayoutPicture.escaped(title))</text>
      <text x="24" y="60">\(LayoutPicture.escaped(nesting))</text>
      <text x="24" y="84" class="strong">\(summary(runCount: counts[0]))</text>
      <rect class="hole" x="\(LayoutPicture.mapLeft)" y="\(LayoutPicture.mapTop)" width="\(LayoutPicture.mapWidth)" \
      height="\(NumberText.fixed(bottom - LayoutPicture.mapTop, 2))"/>
      \(body)\(columns(bottom: bottom))\(rowLabels(rowHeight: rowHeight))\(legend(y: bottom + 46))</svg>

      """
  }

  /// The axes with their extents, the largest stride first.
  private var nesting: String {
    let steps = axes.map { "\($0.name.text) \u{D7} \($0.extent)" }.joined(separator: "  \u{203A}  ")
    return "One page, from the outside in: \(steps)" + (page.planes.count > 1 ? "  (first of several planes)" : "")
  }

  private func summary(runCount: Int) -> String {
    let bytes = ByteCount(ranks[0].byteCount)
    let pieces = runCount == 1 ? "1 contiguous run" : "\(NumberText.grouped(runCount)) contiguous runs"
    let each = runCount > 1 ? ", \(ByteCount(ranks[0].byteCount / runCount)) each on average" : ""
    let reader = ranks.count > 1 ? "Rank 0 of \(ranks.count)" : "A reader of the whole page"
    return "\(reader) reads \(bytes) in \(pieces)" + each
  }

  private static func escaped(_ text: String) -> String {
    text.map { character in
      switch character {
      case "&": "&amp;"
      case "<": "&lt;"
      case ">": "&gt;"
      default: String(character)
      }
    }.joined()
  }
}

extension LayoutPicture {
  /// The runs of a rank as rectangles, those that a person could not see apart joined; and how many runs there are.
  private func runs(of layout: Layout, rank: Int, rowHeight: Double) throws(RoostError) -> (String, Int) {
    guard layout.strided().reduce(0, { $0 + $1.pieceCount }) <= LayoutCase.entryCountMax else {
      throw RoostError(.invalidInput, "too many runs for a picture; choose fewer layers or tokens")
    }
    var text = ""
    var (count, rectangles) = (0, 0)
    var pending: (row: Int, from: Double, to: Double)?
    let scale = LayoutPicture.mapWidth / Double(rowByteCount)
    func draw(_ bar: (row: Int, from: Double, to: Double)) {
      rectangles += 1
      guard rectangles <= LayoutPicture.rectangleCountMax else { return }
      let y = NumberText.fixed(LayoutPicture.mapTop + Double(bar.row) * rowHeight + 0.6, 2)
      let x = NumberText.fixed(LayoutPicture.mapLeft + bar.from * scale, 2)
      let width = NumberText.fixed(max(0.3, (bar.to - bar.from) * scale), 2)
      text += "<rect x=\"\(x)\" y=\"\(y)\" width=\"\(width)\" height=\"\(NumberText.fixed(rowHeight - 1.2, 2))\"/>"
    }
    for run in try LayoutError.translated({ () throws(LayoutError) in try layout.runs() }) {
      count += 1
      var start = run.offset - range.lowerBound
      let end = start + run.byteCount
      while start < end {
        let row = start / rowByteCount
        let stop = min(end, (row + 1) * rowByteCount)
        let bar = (row: row, from: Double(start - row * rowByteCount), to: Double(stop - row * rowByteCount))
        if let before = pending, before.row == row, (bar.from - before.to) * scale < 0.5 {
          pending = (row, before.from, bar.to)
        } else {
          if let before = pending { draw(before) }
          pending = bar
        }
        start = stop
      }
    }
    if let before = pending { draw(before) }
    return (text, count)
  }

  /// Names of the first axis within a row, with lines between its steps where they can be told apart.
  private func columns(bottom: Double) -> String {
    var text = ""
    for (depth, axis) in axes.dropFirst(rowAxisCount).prefix(2).enumerated() {
      let step = LayoutPicture.mapWidth * Double(axis.strideBytes) / Double(rowByteCount)
      guard step >= 4 else { break }
      for index in 0..<(depth == 0 ? axis.extent : 1) {
        let x = LayoutPicture.mapLeft + step * Double(index)
        let place = NumberText.fixed(x, 2)
        if depth == 0, index > 0 {
          text += "<path class=\"edge\" d=\"M\(place) \(LayoutPicture.mapTop)V\(NumberText.fixed(bottom, 2))\"/>"
        }
        let isNamed = step >= 60 || index == 0
        let label = isNamed ? "\(LayoutPicture.escaped(axis.name.text)) \(index)" : "\(index)"
        let isRoomy = step >= 22 || index.isMultiple(of: Int((44 / step).rounded(.up)))
        if depth == 0, isRoomy, isNamed || index > Int(50 / step) {
          text += "<text class=\"label\" x=\"\(place)\" y=\"\(LayoutPicture.mapTop - 8)\">\(label)</text>"
        }
      }
    }
    return text + "\n"
  }

  /// What each row is: a step of the outer axes, or else its address.
  private func rowLabels(rowHeight: Double) -> String {
    let every = max(1, Int((13 / rowHeight).rounded(.up)))
    var text = ""
    for row in stride(from: 0, to: rowCount, by: every) {
      let y = NumberText.fixed(LayoutPicture.mapTop + (Double(row) + 0.5) * rowHeight + 4, 2)
      var rest = row * rowByteCount
      var words: [String] = []
      for axis in axes.prefix(rowAxisCount) {
        let step = rest / max(1, axis.strideBytes)
        rest -= step * axis.strideBytes
        words.append(step < axis.extent ? "\(axis.name.text) \(step)" : "")
      }
      let isBlank = words.contains("")
      let address = "byte \(NumberText.grouped(row * rowByteCount))"
      let label = words.isEmpty ? address : isBlank ? "" : words.joined(separator: ", ")
      text += "<text class=\"label\" x=\"\(LayoutPicture.mapLeft - 10)\" y=\"\(y)\" text-anchor=\"end\">"
      text += LayoutPicture.escaped(label) + "</text>"
    }
    return text + "\n"
  }

  private func legend(y: Double) -> String {
    func entry(_ x: Int, _ style: String, _ label: String) -> String {
      let (top, line) = (NumberText.fixed(y - 12, 1), NumberText.fixed(y, 1))
      return "<g class=\"\(style)\"><rect x=\"\(x)\" y=\"\(top)\" width=\"14\" height=\"14\"/></g>"
        + "<text x=\"\(x + 22)\" y=\"\(line)\">\(label)</text>"
    }
    let others = ranks.count > 1 ? entry(320, "odd", "other ranks") : ""
    let hole = range.count > page.byteCount ? entry(ranks.count > 1 ? 470 : 320, "hole", "not of this page") : ""
    return entry(150, "own", ranks.count > 1 ? "what rank 0 reads" : "the page") + others + hole + "\n"
  }

  /// Light and dark, as the reader has it.
  private static let style = """
    svg{--paper:#fff;--ink:#1c2024;--soft:#60666d;--own:#0072b2;--odd:#f6d592;--even:#f0dfbd;--hole:#eceeec}
    @media screen and (prefers-color-scheme:dark){svg{--paper:#14171a;--ink:#e8eaed;--soft:#9aa1a9;--own:#4aa3df;\
    --odd:#6b5526;--even:#564827;--hole:#23272b}}
    .paper{fill:var(--paper)}.hole,.hole rect{fill:var(--hole)}.own rect{fill:var(--own)}.odd rect{fill:var(--odd)}
    .even rect{fill:var(--even)}text{fill:var(--ink);font-size:15px}.title{font-size:22px;font-weight:600}
    .strong{font-weight:600;fill:var(--own)}.label{font-size:12px;fill:var(--soft)}
    .edge{stroke:var(--paper);stroke-width:1;fill:none}
    """
}
