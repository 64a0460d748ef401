/// A copy goes from a source to a target, and both words are written out wherever we choose the name. Members and
/// argument labels of foreign things (zstd's buffers have such) are used as they are called.
struct DirectionCheck: Check {
  static let replacements = ["src": "source", "dst": "target"]

  let rule = "calls the ends of a copy source and target"

  func findings(in file: SourceFile) -> [Finding] {
    var findings: [Finding] = []
    for (index, token) in file.tokens.enumerated() where token.kind == .identifier {
      // Splitting a name costs far more than this glance at it.
      guard token.text.utf8.count >= 3, token.text.contains("c") || token.text.contains("d") else { continue }
      let words = CamelCase.words(of: token.text)
      guard let word = words.first(where: { Self.replacements[$0] != nil }), let replacement = Self.replacements[word],
        !Self.isUse(at: index, in: file.tokens)
      else { continue }
      let message = "\(token.text): write '\(replacement)' for '\(word)'"
      findings.append(Finding(path: file.path, line: token.line, message: message))
    }
    return findings
  }

  /// Whether the word is a member, `a.src` or `a->src`, or a label in a call: the name was chosen elsewhere.
  private static func isUse(at index: Int, in tokens: [Token]) -> Bool {
    if index > 0, tokens[index - 1].isSymbol(".") { return true }
    if index > 1, tokens[index - 1].isSymbol(">"), tokens[index - 2].isSymbol("-") { return true }
    guard index + 1 < tokens.count, tokens[index + 1].isSymbol(":") else { return false }
    guard let open = openingParenthesis(around: index, in: tokens), open > 0 else { return false }
    let callee = tokens[open - 1]
    let isInitializer = ["init", "subscript"].contains(callee.text)
    guard callee.kind == .identifier, open > 1 else { return callee.kind == .identifier && !isInitializer }
    let before = tokens[open - 2]
    return isInitializer ? before.isSymbol(".") : !before.isWord("func") && !before.isWord("case")
  }

  private static func openingParenthesis(around index: Int, in tokens: [Token]) -> Int? {
    var depth = 0
    for at in stride(from: index - 1, through: 0, by: -1) where tokens[at].kind == .symbol {
      switch tokens[at].text {
      case ")", "]", "}": depth += 1
      case "(" where depth == 0: return at
      case "[" where depth == 0, "{" where depth == 0: return nil
      case "(", "[", "{": depth -= 1
      default: break
      }
    }
    return nil
  }
}
