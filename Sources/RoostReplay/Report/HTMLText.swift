import RoostConsole

/// Text on its way into a page: everything that comes from outside passes through here.
enum HTMLText {
  /// Text that means itself between tags and inside quoted attributes. Control characters that HTML does not know become
  /// the replacement character.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\t", "\n": result.unicodeScalars.append(scalar)
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}": result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// JSON for a `<script type="application/json">`: no `<` is left that could end the element. In JSON these characters
  /// stand in strings only, where the escape means the same.
  static func embedded(_ value: JSONValue) -> String {
    var result = ""
    for scalar in value.serialized.unicodeScalars {
      switch scalar {
      case "<": result += "\\u003c"
      case ">": result += "\\u003e"
      case "&": result += "\\u0026"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
