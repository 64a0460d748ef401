import CRoostABI
import RoostConsole
import RoostLayout
import RoostLayoutText
import RoostPrimitives

/// Reads what callers say about layouts.
enum LayoutReader {
  static func json(_ text: roost_text, _ name: StaticString) throws(RoostError) -> JSONValue {
    try JSONValue(parsing: try Arguments.text(text.bytes, byteCount: text.byte_count, name))
  }

  static func layout(_ text: roost_text, _ name: StaticString) throws(RoostError) -> Layout {
    try Layout(json: try json(text, name))
  }

  static func axes(_ text: roost_text) throws(RoostError) -> [AxisName] {
    let list = try json(text, "axes")
    guard let names = list.elements?.compactMap(\.text), names.count == list.elements?.count else {
      throw RoostError(.invalidInput, "axes must be a list of names, not \(list.excerpt)")
    }
    return names.map { AxisName($0) }
  }

  static func plan(_ source: roost_text, _ target: roost_text) throws(RoostError) -> CopyPlan {
    let (source, target) = (try layout(source, "source"), try layout(target, "target"))
    return try LayoutError.translated { () throws(LayoutError) in try Layout.plan(from: source, to: target) }
  }
}

/// See roost.h.
@c @implementation public func roost_layout_apply(
  _ layout: roost_text, _ steps: roost_text, _ outText: UnsafeMutablePointer<CChar>?, _ textBytes: Int,
  _ outBytes: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    var layout = try LayoutReader.layout(layout, "layout")
    guard let steps = try LayoutReader.json(steps, "steps").elements else {
      throw RoostError(.invalidInput, "steps must be a list")
    }
    for step in steps { layout = try LayoutStep(json: step).apply(to: layout) }
    try Arguments.answer(layout.json.serialized, outText, textBytes, outBytes)
  }
}

/// See roost.h.
@c @implementation public func roost_layout_named(
  _ name: roost_text, _ parameters: roost_text, _ outText: UnsafeMutablePointer<CChar>?, _ textBytes: Int,
  _ outBytes: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let name = try Arguments.text(name.bytes, byteCount: name.byte_count, "name")
    guard let named = NamedLayout.named(name) else {
      let known = NamedLayout.all.map(\.name)
      let meant = nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
      throw RoostError(
        .notFound, "no layout is known as '\(name)'\(meant)", context: [("known", known.joined(separator: " "))])
    }
    var values: NamedLayout.Values = [:]
    guard let members = try LayoutReader.json(parameters, "parameters").members else {
      throw RoostError(.invalidInput, "parameters must be an object")
    }
    for member in members {
      guard let value = member.value.int else {
        throw RoostError(.invalidInput, "parameter '\(member.name)' must be a whole number")
      }
      values[member.name] = value
    }
    let given = values
    let layout = try LayoutError.translated { () throws(LayoutError) in try named.layout(given) }
    try Arguments.answer(layout.json.serialized, outText, textBytes, outBytes)
  }
}

/// See roost.h.
@c @implementation public func roost_layout_plan(
  _ source: roost_text, _ target: roost_text, _ outText: UnsafeMutablePointer<CChar>?, _ textBytes: Int,
  _ outBytes: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let plan = try LayoutReader.plan(source, target)
    let text = JSONValue.object([
      "parts": .array(plan.parts.map(\.json)), "pieces": .count(plan.pieceCount), "bytes": .count(plan.byteCount),
    ])
    try Arguments.answer(text.serialized, outText, textBytes, outBytes)
  }
}
