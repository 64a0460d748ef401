/// Names say what a thing is; these words say only that somebody did not decide.
struct NameCheck: Check {
  static let bannedWords: Set<String> = ["manager", "util", "utils", "common", "helper", "misc", "base", "backend"]

  let rule = "has no module, file or type with an empty word in its name"

  func findings(in file: SourceFile) -> [Finding] {
    guard file.language != nil || file.isInSources || file.isInTests else { return [] }
    var findings: [Finding] = []
    for part in file.path.split(separator: "/") {
      findings += Self.findings(in: String(part), called: "the path", path: file.path, line: 1)
    }
    for declaration in file.declarations where declaration.isType {
      findings += Self.findings(in: declaration.name, called: "the type", path: file.path, line: declaration.line)
    }
    if file.language == .c {
      for (before, name) in zip(file.tokens, file.tokens.dropFirst()) where name.kind == .identifier {
        guard ["struct", "union", "enum"].contains(before.text) else { continue }
        findings += Self.findings(in: name.text, called: "the type", path: file.path, line: name.line)
      }
    }
    return findings
  }

  private static func findings(in name: String, called role: String, path: String, line: Int) -> [Finding] {
    CamelCase.words(of: name).filter { bannedWords.contains($0) }.map {
      Finding(path: path, line: line, message: "\(role) name \(name) carries the word '\($0)': say what it does")
    }
  }
}

/// Splits names into the words that they are made of.
enum CamelCase {
  /// Lower-cased words of `HTTPServer`, `blockCount`, `roost_copy`, `Type+Aspect`. Digits belong to the word before them.
  static func words(of name: String) -> [String] {
    let characters = Array(name)
    var words = [""]
    for (index, character) in characters.enumerated() {
      guard character.isLetter || character.isNumber else {
        words.append("")
        continue
      }
      if character.isUppercase, index > 0 {
        let endsAcronym = index + 1 < characters.count && characters[index + 1].isLowercase
        if !characters[index - 1].isUppercase || endsAcronym { words.append("") }
      }
      words[words.count - 1] += character.lowercased()
    }
    return words.filter { !$0.isEmpty }
  }
}
