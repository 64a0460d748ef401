import RoostConsole
import RoostPrimitives

/// Replays of the same requests under several policies or in pools of several sizes, side by side.
public struct ReplayComparison: Sendable {
  /// One size.
  public struct Row: Sendable {
    /// Slots.
    public let slotCount: Int
    /// Prefix hits that no policy can exceed, nil if nobody asked.
    public let offlineHits: Int?
    /// A report for each policy.
    public var reports: [ReplayReport]

    /// A size without reports yet.
    public init(slotCount: Int, offlineHits: Int?) {
      self.slotCount = slotCount
      self.offlineHits = offlineHits
      reports = []
    }
  }

  /// The sizes, in the order in which they were asked for.
  public var rows: [Row]
  private let uniqueCount: Int

  /// Puts rows together; the trace has so many distinct blocks.
  public init(_ rows: [Row], uniqueCount: Int) {
    self.rows = rows
    self.uniqueCount = uniqueCount
  }

  /// Replays that exceed what is possible: a defect in the counting, not a good policy.
  public var impossible: [ReplayReport] {
    rows.flatMap { row in row.reports.filter { $0.statistics.prefixHitCount > row.offlineHits ?? .max } }
  }

  /// One run's report with what the comparison knows of it, for scripts.
  public static func json(_ report: ReplayReport, offlineHits: Int?) -> JSONValue {
    guard let offlineHits, case .object(let members) = report.json else { return report.json }
    return .object(members + [JSONMember("offline_hits", .count(offlineHits))])
  }

  /// Hit ratios, a line a size; where LRU and the bound are there, also how much of the gap between them each closes.
  public var text: String {
    let labels = rows.first?.reports.map(\.configuration.policyLabel) ?? []
    let hasBound = rows.contains { $0.offlineHits != nil }
    var table = Table(
      [("blocks", .right), ("of all", .right)] + labels.map { ($0, .right) } + (hasBound ? [("offline", .right)] : []))
    for row in rows where !row.reports.isEmpty {
      let share = NumberText.percent(Double(row.slotCount) / Double(max(1, uniqueCount)))
      var cells = [NumberText.grouped(row.slotCount), share]
      for report in row.reports { cells.append(cell(report, row)) }
      cells += Array(repeating: "", count: labels.count - row.reports.count)
      if let bound = row.offlineHits { cells.append(percent(bound, row.reports[0])) }
      table.add(cells)
    }
    var text = "prefix hits of all block references"
    if hasBound, labels.contains("lru") { text += "; in brackets, how much of the gap from LRU to the offline bound" }
    return text + "\n\n" + table.text
  }

  /// The share of all references that must lie between LRU and the bound; where there is less to gain, a share of it
  /// says nothing.
  private static let gapMin = 0.01

  private func cell(_ report: ReplayReport, _ row: Row) -> String {
    let ratio = percent(report.statistics.prefixHitCount, report)
    let lru = row.reports.first { $0.configuration.policyLabel == "lru" }?.statistics.prefixHitCount
    guard let lru, let bound = row.offlineHits, report.configuration.policyLabel != "lru",
      Double(bound - lru) >= ReplayComparison.gapMin * Double(report.statistics.referenceCount)
    else { return ratio }
    let gained = Double(report.statistics.prefixHitCount - lru) / Double(bound - lru)
    return "\(ratio) (\(gained < 0 ? "" : "+")\(NumberText.fixed(100 * gained, 1)))"
  }

  private func percent(_ hits: Int, _ report: ReplayReport) -> String {
    NumberText.percent(Double(hits) / Double(max(1, report.statistics.referenceCount)))
  }
}
