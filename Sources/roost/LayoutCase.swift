import RoostConsole
import RoostLayout
import RoostLayoutText
import RoostPrimitives

/// One case of `roost layout eval`: what it asks for.
struct LayoutCase {
  /// Entries of any one list of an answer. 16 Mi triples are 400 MB of text: more is a mistake, not a question.
  static let entryCountMax = 1 << 24

  private let json: JSONValue

  init(json: JSONValue) throws(RoostError) {
    guard json.members != nil else {
      throw RoostError(.invalidInput, "a case is an object with start, src and dst, or parts, not \(json.excerpt)")
    }
    self.json = json
  }

  /// The case's id, if it has one, to find the answer by.
  static func identity(of json: JSONValue) -> [JSONMember] {
    json["id"].map { [JSONMember("id", $0)] } ?? []
  }

  /// Works everything out that can fail; what is long is worked out while it is written.
  func answer() throws(RoostError) -> LayoutAnswer {
    var answer: LayoutAnswer
    if let source = json["src"], let target = json["dst"] {
      answer = try LayoutCase.plan(source, target)
    } else if let start = json["start"] ?? json["layout"] {
      answer = try layoutAnswer(start)
    } else if let parts = json["parts"] {
      guard let elements = parts.elements else { throw RoostError(.invalidInput, "parts must be a list of cases") }
      answer = LayoutAnswer()
      var answers: [LayoutAnswer] = []
      for (index, part) in elements.enumerated() {
        answers.append(try LayoutCase.inPlace("part \(index)") { () throws(RoostError) in try partAnswer(part) })
      }
      answer.parts = answers
    } else {
      throw RoostError(.invalidInput, "a case needs start (with steps), src and dst, or parts")
    }
    answer.members = LayoutCase.identity(of: json) + answer.members
    return answer
  }

  /// A part is a case with a layout; blocks are iterated if nothing else is said and they can be.
  private func partAnswer(_ json: JSONValue) throws(RoostError) -> LayoutAnswer {
    guard json["parts"] == nil else { throw RoostError(.invalidInput, "parts within parts") }
    var answer = try LayoutCase(json: json).answer()
    if json["iter_axes"] == nil, json["src"] == nil, let layout = answer.layout {
      answer.members = answer.members.map { $0.name == "result" ? JSONMember("layout", $0.value) : $0 }
      answer.descriptors = try? layout.descriptors(iterating: [.block])
    }
    return answer
  }

  private static func plan(_ source: JSONValue, _ target: JSONValue) throws(RoostError) -> LayoutAnswer {
    let source = try inPlace("src") { () throws(RoostError) in try Layout(json: source) }
    let target = try inPlace("dst") { () throws(RoostError) in try Layout(json: target) }
    let plan = try LayoutError.translated { () throws(LayoutError) in try Layout.plan(from: source, to: target) }
    try checkCount(plan.pieceCount, "triples")
    var answer = LayoutAnswer()
    answer.triples = plan.pieces
    answer.strided = plan.parts.map(\.json)
    return answer
  }

  private func layoutAnswer(_ start: JSONValue) throws(RoostError) -> LayoutAnswer {
    var layout = try Layout(json: start)
    guard let steps = (json["steps"] ?? .array([])).elements else {
      throw RoostError(.invalidInput, "steps must be a list")
    }
    for (index, step) in steps.enumerated() {
      layout = try LayoutCase.inPlace("step \(index)") { () throws(RoostError) in
        try LayoutStep(json: step).apply(to: layout)
      }
    }
    var answer = LayoutAnswer()
    answer.layout = layout
    answer.members = [JSONMember("result", layout.json)]
    let strided = layout.strided()
    try LayoutCase.checkCount(strided.reduce(0) { $0 + $1.pieceCount }, "runs")
    answer.strided = strided.map(\.json)
    let result = layout
    if json["iter_axes"] != nil || json["kind"]?.text == "descriptors" {
      let names = try iterationAxes()
      let descriptors = try LayoutError.translated { () throws(LayoutError) in
        try result.descriptors(iterating: names)
      }
      try LayoutCase.checkCount(descriptors.count, "descriptors")
      answer.descriptors = descriptors
    }
    answer.runs = try LayoutError.translated { () throws(LayoutError) in try result.runs() }
    return answer
  }

  private func iterationAxes() throws(RoostError) -> [AxisName] {
    let names = json["iter_axes"]?.elements?.compactMap(\.text)
    guard let names, names.count == json["iter_axes"]?.elements?.count else {
      throw RoostError(.invalidInput, "iter_axes must be a list of axis names")
    }
    return names.map { AxisName($0) }
  }

  private static func checkCount(_ count: Int, _ what: String) throws(RoostError) {
    guard count <= entryCountMax else {
      throw RoostError(.invalidInput, "\(count) \(what), more than the \(entryCountMax) that are listed")
    }
  }

  /// Runs `body`, and says where it failed if it does.
  private static func inPlace<Value>(
    _ place: String, _ body: () throws(RoostError) -> Value
  ) throws(RoostError) -> Value {
    do throws(RoostError) {
      return try body()
    } catch {
      throw RoostError(error.code, "\(place): \(error.message)")
    }
  }
}

extension StridedRuns {
  /// Runs that the loops give.
  var pieceCount: Int { loops.reduce(1) { $0 &* $1.count } }
}
