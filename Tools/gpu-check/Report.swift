import DeviceCUDA
import RoostConsole
import RoostDevice
import RoostPrimitives

/// What was found, for people and for programs.
struct Report {
  let description: DeviceDescription
  let suites: [SuiteRun]
  let sharing: Sharing
  let sweep: Sweep
  let seed: UInt64

  /// Whether every check and every byte is right; speed decides nothing.
  var isRight: Bool {
    suites.allSatisfy { $0.failures.isEmpty } && sharing.failures.isEmpty
      && sweep.rows.allSatisfy { $0.wrongBytes == 0 }
  }

  /// For docs/performance.md.
  var markdown: String {
    var text = "# \(description.name), driver \(description.driverVersion ?? "?"), seed \(seed)\n\n"
    text += "| suite | passed | failed |\n|---|---:|---:|\n"
    for suite in suites { text += "| \(suite.name) | \(suite.passed) | \(suite.failures.count) |\n" }
    for failure in suites.flatMap({ suite in suite.failures.map { "\(suite.name): \($0)" } }) {
      text += "\n* \(failure)"
    }
    text += "\nMemory that two processes share: "
    text += sharing.isOffered ? sharing.failures.isEmpty ? "right\n" : "WRONG\n" : "not offered\n"
    for failure in sharing.failures { text += "\n* \(failure)" }
    text += "\nGB/s, and the ratio to one contiguous copy of as many bytes in the same run, alone or beside a kernel "
    text += "that computes, as said. Targets: 0.95 for pieces of 64 KiB or more, 0.85 for 8 to 32 KiB.\n"
    if sweep.loadRanOut { text += "\nThe kernel ended before some copies that were measured beside it.\n" }
    for direction in [CopyDirection.deviceToHost, .hostToDevice] {
      for isBeside in [false, true] { text += table(direction, isBeside: isBeside) }
    }
    let wrong = sweep.rows.filter { $0.wrongBytes > 0 }
    text += wrong.isEmpty ? "\nEvery byte is right.\n" : "\nWRONG BYTES in \(wrong.count) rows.\n"
    return text
  }

  private func table(_ direction: CopyDirection, isBeside: Bool) -> String {
    let rows = sweep.rows.filter { $0.direction == direction && $0.isBeside == isBeside }
    var text = "\n## \(Report.verb(direction))\(isBeside ? ", beside a kernel" : "")\n\n| pages | piece | count | "
    text += Way.allCases.map(\.rawValue).joined(separator: " | ") + " | best | target |\n"
    text += "|---|---:|---:|" + String(repeating: "---:|", count: Way.allCases.count) + "---:|---|\n"
    // The first way has every shape, in order.
    for shape in rows where shape.way == Way.allCases.first {
      let own = rows.filter {
        $0.model == shape.model && $0.pieceBytes == shape.pieceBytes && $0.count == shape.count
      }
      let cells = Way.allCases.map { way in own.first { $0.way == way }.map(Report.cell) ?? "" }
      let best = own.map(\.ratio).max() ?? 0
      text += "| \(shape.model) | \(ByteCount(shape.pieceBytes)) | \(shape.count) | "
      text += "\(cells.joined(separator: " | ")) | \(NumberText.fixed(best, 2)) | "
      text += Report.target(shape.pieceBytes).map { best >= $0 ? "met" : "missed" } ?? ""
      text += " |\n"
    }
    return text
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
      "sharing": .object([
        "offered": .bool(sharing.isOffered), "failures": .array(sharing.failures.map { .string($0) }),
      ]),
      "load_ran_out": .bool(sweep.loadRanOut),
      "copies": .array(
        sweep.rows.map {
          .object([
            "verb": .string(Report.verb($0.direction)), "path": .string($0.way.rawValue),
            "model": .string($0.model), "beside_compute": .bool($0.isBeside), "piece_bytes": .count($0.pieceBytes),
            "count": .count($0.count), "bytes_per_second": .number($0.speed),
            "ratio": .number($0.ratio), "wrong_bytes": .count($0.wrongBytes),
          ])
        }),
    ])
  }
}
