import Foundation
import RoostLayout
import RoostPrimitives

/// The worked cases that lie beside the repository; tests that need them are skipped where they are absent.
enum OracleFile {
  static let folder = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "../shared/data/layout").standardized

  static var isPresent: Bool {
    FileManager.default.fileExists(atPath: folder.appending(path: "layout_oracle.json").path)
  }

  static func rows(_ name: String) throws -> [[String: Any]] {
    let data = try Data(contentsOf: folder.appending(path: name))
    return try JSONSerialization.jsonObject(with: data) as? [[String: Any]] ?? []
  }
}

extension Layout {
  /// A layout in the oracle's form.
  init(oracle: Any?) throws {
    let fields = oracle as? [String: Any] ?? [:]
    let axes = (fields["axes"] as? [[Any]] ?? []).map {
      Axis(AxisName($0[0] as? String ?? ""), $0[1] as? Int ?? 0, strideBytes: $0[2] as? Int ?? -1)
    }
    try self.init(
      axes: axes, itemByteCount: fields["itemsize"] as? Int ?? 0, offsetBytes: fields["offset"] as? Int ?? -1)
  }

  /// The layout after the oracle's steps.
  func applying(steps: Any?) throws -> Layout {
    var layout = self
    for step in steps as? [[Any]] ?? [] {
      let axis = AxisName(step[1] as? String ?? "")
      let number = step[2] as? Int ?? -1
      switch step[0] as? String {
      case "narrow": layout = try layout.narrow(axis, from: number, count: step[3] as? Int ?? -1)
      case "select": layout = try layout.select(axis, number)
      case "split": layout = try layout.split(axis, by: number, outer: AxisName(step[3] as? String ?? ""))
      default: throw RoostError(.invalidInput, "step \(step)")
      }
    }
    return layout
  }
}

extension Sequence<ByteRun> {
  /// As the oracle writes them.
  var pairs: [[Int]] { map { [$0.offset, $0.byteCount] } }
}

extension Sequence<CopyPiece> {
  /// As the oracle writes them.
  var triples: [[Int]] { map { [Int($0.source), Int($0.target), Int($0.byteCount)] } }
}
