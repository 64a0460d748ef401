import RoostPrimitives

/// Tells a person how far long work is: a bar that redraws itself on a terminal, a plain line every few seconds
/// elsewhere. All of it goes to standard error.
///
/// Not thread-safe: one thread reports. `update` costs a clock read when there is nothing to draw.
public final class ProgressReport {
  private let label: String
  private let unit: String
  private let total: Int?
  private let isBar: Bool
  private let clock: any Clock
  private let write: (String) -> Void
  private let started: UInt64
  private var drawnLast: UInt64
  private var hasDrawn = false
  private var rate: RateWindow

  /// Starts to report.
  ///
  /// - Parameters:
  ///   - label: what is being done, one word: `replay`.
  ///   - unit: what is counted, in the plural: `requests`.
  ///   - total: how many there will be, nil if nobody knows.
  ///   - stream: where to draw; nil for standard error.
  ///   - clock: what time it is.
  public init(
    _ label: String, unit: String, total: Int?, stream: Stream? = nil, clock: any Clock = MonotonicClock()
  ) {
    self.label = label
    self.unit = unit
    self.total = total
    self.clock = clock
    let stream = stream ?? Stream(isTerminal: Terminal.isInteractive) { Terminal.note($0) }
    isBar = stream.isTerminal
    write = stream.write
    started = clock.nanoseconds
    drawnLast = started
    rate = RateWindow(started: started)
  }

  /// Where progress is drawn.
  public struct Stream {
    /// Whether carriage returns redraw a line there.
    public var isTerminal: Bool
    /// Takes text.
    public var write: (String) -> Void

    /// Describes a stream.
    public init(isTerminal: Bool, write: @escaping (String) -> Void) {
      self.isTerminal = isTerminal
      self.write = write
    }
  }

  /// Reports that `done` are done; `detail` is only made when something is drawn.
  public func update(_ done: Int, detail: @autoclosure () -> String = "") {
    let now = clock.nanoseconds
    let pause = isBar ? Limits.progressRedrawSeconds : Limits.progressLineSeconds
    guard Double(now &- drawnLast) >= pause * 1e9 else { return }
    drawnLast = now
    rate.note(done, at: now)
    draw(done, detail())
  }

  /// Ends the report: a bar is wiped away, so that the summary that follows stands alone.
  public func finish() {
    if isBar && hasDrawn { write("\r\u{1B}[K") }
  }

  private func draw(_ done: Int, _ detail: String) {
    hasDrawn = true
    let perSecond = rate.perSecond
    var facts = ["\(NumberText.grouped(done))\(total.map { "/" + NumberText.grouped($0) } ?? "") \(unit)"]
    facts.append("\(perSecond < 10 ? NumberText.fixed(perSecond, 1) : NumberText.grouped(Int(perSecond)))/s")
    if let total, perSecond > 0 {
      facts.append("ETA " + NumberText.duration(seconds: (Double(max(0, total - done)) / perSecond).rounded(.up)))
    }
    if !detail.isEmpty { facts.append(detail) }
    let text = facts.joined(separator: "  ")
    guard isBar else {
      let share = total.map { " \(percent(done, $0))%" } ?? ""
      write("\(label):\(share) \(text)\n")
      return
    }
    var line = label + " "
    if let total {
      let share = String(percent(done, total))
      line += bar(done, total, columns: 24) + String(repeating: " ", count: 4 - share.count) + share + "%  "
    }
    line += text
    let columns = Terminal.columns ?? Limits.columnsAssumed
    write("\r" + String(line.prefix(columns - 1)) + "\u{1B}[K")
  }

  private func percent(_ done: Int, _ total: Int) -> Int { total > 0 ? min(100, done * 100 / total) : 100 }

  private func bar(_ done: Int, _ total: Int, columns: Int) -> String {
    let filled = total > 0 ? min(columns, done * columns / total) : columns
    let head = filled < columns ? ">" : ""
    return "[" + String(repeating: "=", count: filled) + head
      + String(repeating: " ", count: columns - filled - head.count) + "]"
  }
}

/// The rate over the last few seconds.
private struct RateWindow {
  private var marks: [(time: UInt64, done: Int)]

  init(started: UInt64) { marks = [(started, 0)] }

  mutating func note(_ done: Int, at now: UInt64) {
    marks.append((now, done))
    let oldest = Double(now) - Limits.progressRateSeconds * 1e9
    // One mark older than the window stays, so that there is always something to measure from.
    while marks.count > 2, Double(marks[1].time) < oldest { marks.removeFirst() }
  }

  var perSecond: Double {
    guard let first = marks.first, let last = marks.last, last.time > first.time else { return 0 }
    return Double(last.done - first.done) / (Double(last.time - first.time) / 1e9)
  }
}
