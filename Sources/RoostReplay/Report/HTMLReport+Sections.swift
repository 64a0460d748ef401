import Glibc
import RoostConsole
import RoostPrimitives

/// The parts of the page that are text and tables.
extension HTMLReport {
  /// What was replayed, and whether it is sound.
  var heading: String {
    let numbers = main.statistics
    let verified = NumberText.grouped(numbers.verifiedPageCount)
    let verdict: String
    if !numbers.isSound {
      let failures = [
        (numbers.verifyFailureCount, "of \(verified) loaded pages did not verify"),
        (numbers.failedCopyCount, "copies failed"),
        (numbers.loadShortfallCount, "blocks matched but could not be loaded"),
      ]
      let said = failures.filter { $0.0 > 0 }.map { "\(NumberText.grouped($0.0)) \($0.1)" }.joined(separator: ", ")
      verdict = "<p class=\"verdict bad\">\u{2717} \(said)</p>"
    } else if main.configuration.isDryRun {
      verdict = "<p class=\"verdict\">dry run: decisions only, no bytes were moved</p>"
    } else if numbers.verifiedPageCount > 0 {
      verdict = "<p class=\"verdict good\">\u{2713} \(verified) loaded pages verified, every byte right</p>"
    } else {
      verdict = "<p class=\"verdict\">loaded bytes were not compared</p>"
    }
    let interrupted = numbers.wasInterrupted ? "<p class=\"verdict bad\">interrupted: figures of a part</p>" : ""
    return """
      <header>
      <p class="brand">Roost replay</p>
      <h1>\(HTMLText.escaped(main.source))</h1>
      <p>\(NumberText.grouped(numbers.requestCount)) requests, \(NumberText.grouped(numbers.referenceCount)) block \
      references, \(NumberText.grouped(numbers.uniqueCount)) distinct blocks, in a pool of \
      \(NumberText.grouped(main.configuration.slotCount)) slots under the policy \
      <b>\(HTMLText.escaped(main.configuration.policy))</b></p>
      \(verdict)\(interrupted)
      </header>
      """
  }

  /// The headline figures.
  var tiles: String {
    let numbers = main.statistics
    let computed = numbers.referenceCount - numbers.prefixHitCount
    var tiles = [
      ("Hit ratio", NumberText.percent(numbers.prefixHitRatio), "\(NumberText.grouped(numbers.prefixHitCount)) blocks"),
      ("Computed", NumberText.grouped(computed), "blocks that were not there"),
    ]
    func tile(_ name: String, _ bytes: Int, _ rate: Double?) {
      guard let rate else { return }
      let ratio = numbers.memcpyRate.map { ", \(NumberText.fixed(rate / $0, 2))\u{D7} memcpy" } ?? ""
      tiles.append((name, NumberText.fixed(rate, 1) + " GB/s", "\(ByteCount(bytes))\(ratio)"))
    }
    tile("Loads", numbers.loadedByteCount, numbers.loadRate)
    tile("Stores", numbers.storedByteCount, numbers.storeRate)
    if let lookup = numbers.lookupNanosecondsPerBlock {
      tiles.append(("Look-up", NumberText.fixed(lookup, 0) + " ns", "a block"))
    }
    let refused = NumberText.grouped(numbers.refusedCount)
    tiles.append(("Evictions", NumberText.grouped(numbers.evictionCount), "\(refused) blocks not let in"))
    let items = tiles.map { "<div><dt>\($0.0)</dt><dd>\($0.1)<small>\($0.2)</small></dd></div>" }
    return "<dl class=\"tiles\">" + items.joined() + "</dl>"
  }

  /// Percentiles of match, store and load, drawn on one logarithmic scale, and as a table.
  var latencies: String {
    let all = [("match", main.statistics.match), ("load", main.statistics.load), ("store", main.statistics.store)]
    let rows = all.filter { $0.1.count > 0 }
    guard !rows.isEmpty else { return "" }
    let shortest = rows.map { $0.1.percentile(0.5) }.min() ?? 1
    let longest = rows.map { $0.1.maxNanoseconds }.max() ?? 1
    let low = log10(Double(max(1, shortest))).rounded(.down)
    let high = max(low + 1, log10(Double(max(1, longest))).rounded(.up))
    func place(_ nanoseconds: Double) -> String {
      NumberText.fixed(100 * (log10(max(1, nanoseconds)) - low) / (high - low), 2)
    }
    var drawn = ""
    var table = ""
    for (name, histogram) in rows {
      let values = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)].map { label, share in
        (label, share == 1 ? histogram.maxNanoseconds : histogram.percentile(share))
      }
      let dots = values.map { label, value in
        "<i class=\"dot \(label)\" data-of=\"\(name) \(label)\" style=\"left:\(place(Double(value)))%\"></i>"
      }.joined()
      let (from, to) = (place(Double(values[0].1)), place(Double(values[3].1)))
      drawn +=
        "<b>\(name)</b><div class=\"track\"><s style=\"left:\(from)%;right:calc(100% - \(to)%)\"></s>\(dots)</div>"
      let cells = values.map { "<td>\(HTMLReport.duration($0.1))</td>" }.joined()
      table += "<tr><th>\(name)</th>\(cells)<td>\(NumberText.grouped(histogram.count))</td></tr>"
    }
    let decades = (Int(low)...Int(high)).map { exponent in
      let value = pow(10, Double(exponent))
      return "<span style=\"left:\(place(value))%\">\(HTMLReport.decade(exponent))</span>"
    }.joined()
    return """
      <figure class="latencies" data-low="\(Int(low))" data-high="\(Int(high))">
      <h2>Latency of a request</h2>
      <p class="caption">From the call to its end, on a logarithmic scale. Filling pages and comparing them is left out.</p>
      <ul class="legend"><li><i class="p50"></i>median</li><li><i class="p90"></i>90 %</li>\
      <li><i class="p99"></i>99 %</li><li><i class="max"></i>longest</li></ul>
      <div class="tracks">\(drawn)<b></b><div class="decades">\(decades)</div></div>
      <div class="wide"><table><thead><tr><th></th><th>median</th><th>90 %</th><th>99 %</th><th>longest</th>\
      <th>count</th></tr></thead><tbody>\(table)</tbody></table></div>
      </figure>
      """
  }

  /// `11.3 µs`: a page can show the letter that a terminal may lack.
  private static func duration(_ nanoseconds: UInt64) -> String {
    let text = NumberText.duration(seconds: Double(nanoseconds) / 1e9)
    return text.hasSuffix(" us") ? text.dropLast(2) + "\u{B5}s" : text
  }

  /// `1 ns`, `10 ns`, `100 ns`, `1 us`...
  private static func decade(_ exponent: Int) -> String {
    let units = ["ns", "\u{B5}s", "ms", "s"]
    let unit = min(exponent / 3, units.count - 1)
    return "1" + String(repeating: "0", count: exponent - 3 * unit) + " " + units[unit]
  }

  /// Policies beside each other.
  var comparison: String {
    var bars = ""
    var rows = ""
    for (index, report) in reports.enumerated() {
      let numbers = report.statistics
      let ratio = NumberText.percent(numbers.prefixHitRatio)
      let name = HTMLText.escaped(name(of: report))
      let width = NumberText.fixed(numbers.prefixHitRatio * 100, 3)
      bars +=
        "<b>\(name)</b><div class=\"bar\"><i class=\"s\(index % 6)\" data-of=\"\(index)\" style=\"width:\(width)%\">"
      bars += "</i><span>\(ratio)</span></div>"
      let difference = (numbers.prefixHitRatio - main.statistics.prefixHitRatio) * 100
      let sign = difference > 0 ? "+" : ""
      let points = index == 0 ? "" : sign + NumberText.fixed(difference, 2)
      let counts = [numbers.prefixHitCount, numbers.admittedCount, numbers.refusedCount, numbers.evictionCount]
      let cells = counts.map { "<td>\(NumberText.grouped($0))</td>" }.joined()
      rows += "<tr><th>\(name)</th><td>\(ratio)</td>"
      rows += (reports.count > 1 ? "<td>\(points)</td>" : "") + cells + "</tr>"
    }
    let caption =
      reports.count > 1
      ? "The same requests under each policy; points are percentage points against the first."
      : "One policy was replayed; several side by side show what another would have kept."
    return """
      <figure class="comparison">
      <h2>Policies</h2>
      <p class="caption">\(caption)</p>
      <div class="bars">\(bars)</div>
      <div class="wide"><table><thead><tr><th></th><th>hit ratio</th>\(reports.count > 1 ? "<th>points</th>" : "")\
      <th>hits</th><th>stored</th><th>refused</th><th>evicted</th></tr></thead><tbody>\(rows)</tbody></table></div>
      </figure>
      """
  }

  /// Under which conditions all this was measured.
  var conditions: String {
    let configuration = main.configuration
    let page = configuration.page
    let memcpy = main.statistics.memcpyRate.map { NumberText.fixed($0, 1) + " GB/s, one thread" }
    let rows: [(String, String?)] = [
      ("trace", main.source), ("policy", configuration.policy), ("page", "\(page.model.name), \(page.summary)"),
      ("slot", ByteCount(page.byteCount).description),
      ("pool", ByteCount(page.byteCount * configuration.slotCount).description), ("device", configuration.device),
      ("memcpy here", memcpy), ("seed", String(configuration.seed)),
      ("took", NumberText.duration(seconds: main.statistics.seconds)),
    ]
    let cells = rows.compactMap { name, value in
      value.map { "<div><dt>\(name)</dt><dd>\(HTMLText.escaped($0))</dd></div>" }
    }
    return "<section><h2>Conditions</h2><dl class=\"conditions\">" + cells.joined() + "</dl></section>"
  }
}
