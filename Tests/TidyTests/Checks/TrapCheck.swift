/// What can end the process says why it cannot happen.
struct TrapCheck: Check {
  let rule = "gives a reason beside everything that may trap on purpose"

  func findings(in file: SourceFile) -> [Finding] {
    guard file.language == .swift else { return [] }
    var findings: [Finding] = []
    for (index, token) in file.tokens.enumerated() where token.kind == .identifier && !token.isEscaped {
      guard let trap = Self.trap(at: index, in: file.tokens), !file.hasReason(beside: token.line) else { continue }
      let message = "\(trap) without a comment, on this line or the one above, that says why it cannot fail"
      findings.append(Finding(path: file.path, line: token.line, message: message))
    }
    return findings
  }

  private static func trap(at index: Int, in tokens: [Token]) -> String? {
    let token = tokens[index]
    switch token.text {
    case "fatalError": return token.text
    case "try", "as":
      guard index + 1 < tokens.count, tokens[index + 1].isSymbol("!") else { return nil }
      return tokens[index + 1].offset == token.offset + token.text.utf8.count ? token.text + "!" : nil
    default: return nil
    }
  }
}
