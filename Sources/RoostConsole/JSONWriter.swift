extension JSONValue {
  /// The value on one line, without spaces, in ASCII where that costs nothing: control characters are escaped, other
  /// text stays UTF-8. Numbers that JSON cannot write (infinities, not-a-number) become `null`.
  public var serialized: String {
    var text = ""
    write(into: &text, indent: nil, depth: 0)
    return text
  }

  /// The value over several lines, two spaces a level; arrays of plain values stay on one line.
  public var prettySerialized: String {
    var text = ""
    write(into: &text, indent: 2, depth: 0)
    return text
  }

  private func write(into text: inout String, indent: Int?, depth: Int) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .unsigned(let value): text += String(value)
    case .number(let value): text += JSONValue.digits(of: value)
    case .string(let value): JSONValue.quote(value, into: &text)
    case .array(let elements):
      let isFlat = indent == nil || elements.allSatisfy { $0.elements == nil && $0.members == nil }
      let inner = isFlat ? nil : indent
      text += "["
      for (position, element) in elements.enumerated() {
        if position > 0 { text += isFlat && indent != nil ? ", " : "," }
        JSONValue.breakLine(&text, inner, depth + 1)
        element.write(into: &text, indent: indent, depth: depth + 1)
      }
      if !elements.isEmpty { JSONValue.breakLine(&text, inner, depth) }
      text += "]"
    case .object(let members):
      text += "{"
      for (position, member) in members.enumerated() {
        if position > 0 { text += "," }
        JSONValue.breakLine(&text, indent, depth + 1)
        JSONValue.quote(member.name, into: &text)
        text += indent == nil ? ":" : ": "
        member.value.write(into: &text, indent: indent, depth: depth + 1)
      }
      if !members.isEmpty { JSONValue.breakLine(&text, indent, depth) }
      text += "}"
    }
  }

  private static func breakLine(_ text: inout String, _ indent: Int?, _ depth: Int) {
    guard let indent else { return }
    text += "\n" + String(repeating: " ", count: indent * depth)
  }

  /// The shortest digits that read back as the same double.
  private static func digits(of value: Double) -> String { value.isFinite ? value.description : "null" }

  private static func quote(_ value: String, into text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{0}"..."\u{1F}", "\u{7F}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
