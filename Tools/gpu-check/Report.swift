import DeviceCUDA
import RoostConsole
import RoostDevice
import RoostPrimitives

/// What was found, for people and for programs.
struct Report {
  let description: DeviceDescription
  let suites: [SuiteRun]
  let rows: [SweepRow]
  let seed: UInt64

  /// For docs/performance.md.
  var markdown: String {
    var text = "# \(description.name), driver \(description.driverVersion ?? "?"), seed \(seed)\n\n"
    text += "| suite | passed | failed |\n|---|---:|---:|\n"
    for suite in suites { text += "| \(suite.name) | \(suite.passed) | \(suite.failures.count) |\n" }
    for failure in suites.flatMap({ suite in suite.failures.map { "\(suite.name): \($0)" } }) {
      text += "\n* \(failure)"
    }
    text +=
      "\nGB/s, and the ratio to one contiguous copy of as many bytes in the same run. Targets: 0.95 for pieces of "
    text += "64 KiB or more, 0.85 for 8 to 32 KiB.\n"
    for direction in [CopyDirection.deviceToHost, .hostToDevice] {
      text += "\n## \(Report.verb(direction))\n\n| piece | count | "
      text += CopyPath.allCases.map(\.rawValue).joined(separator: " | ") + " | best | target |\n"
      text += "|---:|---:|" + String(repeating: "---:|", count: CopyPath.allCases.count) + "---:|---|\n"
      for (size, count) in shapes {
        let own = rows.filter { $0.direction == direction && $0.pieceBytes == size && $0.count == count }
        let cells = CopyPath.allCases.map { path in own.first { $0.path == path }.map(Report.cell) ?? "" }
        let best = own.map(\.ratio).max() ?? 0
        text += "| \(ByteCount(size)) | \(count) | \(cells.joined(separator: " | ")) | \(NumberText.fixed(best, 2)) | "
        text += Report.target(size).map { best >= $0 ? "met" : "missed" } ?? ""
        text += " |\n"
      }
    }
    let wrong = rows.filter { $0.wrongBytes > 0 }
    text += wrong.isEmpty ? "\nEvery byte is right.\n" : "\nWRONG BYTES in \(wrong.count) rows.\n"
    return text
  }

  private var shapes: [(Int, Int)] {
    var shapes: [(Int, Int)] = []
    for row in rows where !shapes.contains(where: { $0 == (row.pieceBytes, row.count) }) {
      shapes.append((row.pieceBytes, row.count))
    }
    return shapes.sorted { $0 < $1 }
  }

  private static func cell(_ row: SweepRow) -> String {
    NumberText.fixed(row.speed / 1e9, 1) + " (" + NumberText.fixed(row.ratio, 2) + ")"
      + (row.wrongBytes > 0 ? " WRONG" : "")
  }

  private static func verb(_ direction: CopyDirection) -> String { direction == .deviceToHost ? "store" : "load" }

  private static func target(_ pieceBytes: Int) -> Double? {
    pieceBytes >= 64 << 10 ? 0.95 : pieceBytes >= 8 << 10 ? 0.85 : nil
  }

  /// The same as one object.
  var json: JSONValue {
    .object([
      "device": .string(description.name), "uri": .string(description.uri),
      "driver_version": .string(description.driverVersion ?? ""), "seed": .count(Int(clamping: seed)),
      "suites": .array(
        suites.map {
          .object([
            "name": .string($0.name), "passed": .count($0.passed), "failures": .array($0.failures.map { .string($0) }),
          ])
        }),
      "copies": .array(
        rows.map {
          .object([
            "verb": .string(Report.verb($0.direction)), "path": .string($0.path.rawValue),
            "piece_bytes": .count($0.pieceBytes), "count": .count($0.count), "bytes_per_second": .number($0.speed),
            "ratio": .number($0.ratio), "wrong_bytes": .count($0.wrongBytes),
          ])
        }),
    ])
  }
}
