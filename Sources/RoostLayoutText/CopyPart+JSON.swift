import RoostConsole
import RoostLayout

extension StridedRuns {
  /// {"offset": ..., "loops": [[count, stride], ...], "run": ...}
  public var json: JSONValue {
    .object([
      "offset": .count(offset), "loops": .array(loops.map { .array([.count($0.count), .count($0.strideBytes)]) }),
      "run": .count(run),
    ])
  }
}

extension CopyPart {
  /// {"src": ..., "dst": ..., "loops": [[count, source stride, target stride], ...], "run": ...}
  public var json: JSONValue {
    .object([
      "src": .count(sourceOffset), "dst": .count(targetOffset),
      "loops": .array(
        loops.map { .array([.count($0.count), .count($0.sourceStride), .count($0.targetStride)]) }),
      "run": .count(run),
    ])
  }
}
