/// Rows and columns of text for a terminal: two spaces between columns, a line under the titles, nothing else.
public struct Table: Sendable {
  /// How a column's cells stand in it.
  public enum Alignment: Sendable {
    /// Words.
    case left
    /// Numbers.
    case right
  }

  private var titles: [String]
  private var alignments: [Alignment]
  private var rows: [[String]] = []

  /// A table with the given columns; titles that are all empty are not printed.
  public init(_ columns: [(title: String, alignment: Alignment)]) {
    titles = columns.map(\.title)
    alignments = columns.map(\.alignment)
  }

  /// Adds a row. Missing cells are empty.
  ///
  /// - Precondition: not more cells than columns.
  public mutating func add(_ cells: [String]) {
    precondition(cells.count <= titles.count, "a row has more cells than the table has columns")
    rows.append(cells + Array(repeating: "", count: titles.count - cells.count))
  }

  /// The table as lines, each with a newline, without spaces at their ends.
  public var text: String {
    let hasTitles = titles.contains { !$0.isEmpty }
    let widths = titles.indices.map { column in
      max(hasTitles ? titles[column].count : 0, rows.map { $0[column].count }.max() ?? 0)
    }
    var text = ""
    if hasTitles {
      text += line(titles, widths)
      text += line(widths.map { String(repeating: "-", count: $0) }, widths)
    }
    for row in rows { text += line(row, widths) }
    return text
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var text = ""
    for (column, cell) in cells.enumerated() {
      let padding = String(repeating: " ", count: widths[column] - cell.count)
      text += (column == 0 ? "" : "  ") + (alignments[column] == .left ? cell + padding : padding + cell)
    }
    while text.last == " " { text.removeLast() }
    return text + "\n"
  }
}
