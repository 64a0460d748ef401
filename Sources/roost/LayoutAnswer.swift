import RoostConsole
import RoostLayout
import RoostPrimitives

/// What a case comes to. Short members are ready; lists are worked out while they are written.
struct LayoutAnswer {
  var members: [JSONMember] = []
  var layout: Layout?
  var descriptors: Descriptors?
  var runs: ByteRuns?
  var triples: CopyPieces?
  var strided: [JSONValue]?
  var parts: [LayoutAnswer]?

  /// Writes the answer as one JSON object, without a line end.
  func write(to output: inout LineOutput) throws(RoostError) {
    var isFirst = true
    func name(_ name: String) -> String {
      defer { isFirst = false }
      return (isFirst ? "" : ",") + JSONValue.string(name).serialized + ":"
    }
    try output.write("{")
    for member in members { try output.write(name(member.name) + member.value.serialized) }
    if let descriptors { try output.write(name("descriptors"), descriptors) { [$0.offset, $0.byteCount] } }
    if let runs { try output.write(name("runs"), runs) { [$0.offset, $0.byteCount] } }
    if let triples {
      try output.write(name("triples"), triples) { [Int($0.source), Int($0.target), Int($0.byteCount)] }
    }
    if let strided {
      let value = strided.count == 1 ? strided[0] : .array(strided)
      try output.write(name("strided") + value.serialized)
    }
    if let parts {
      try output.write(name("parts") + "[")
      for (index, part) in parts.enumerated() {
        if index > 0 { try output.write(",") }
        try part.write(to: &output)
      }
      try output.write("]")
    }
    try output.write("}")
  }
}

extension LineOutput {
  /// Writes a list of lists of numbers, one entry at a time.
  fileprivate mutating func write<Entries: Sequence>(
    _ name: String, _ entries: Entries, numbers: (Entries.Element) -> [Int]
  ) throws(RoostError) {
    try write(name + "[")
    var isFirst = true
    for entry in entries {
      try write((isFirst ? "[" : ",[") + numbers(entry).map(String.init).joined(separator: ",") + "]")
      isFirst = false
    }
    try write("]")
  }
}
